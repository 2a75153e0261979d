import assert from 'node:assert/strict';
import { HandClock } from '../test/support/hand-clock.ts';
import { createMetrics } from './prometheus.ts';

describe('createMetrics', () => {
  it('shows what rooms have counted', async () => {
    const clock = new HandClock();
    const metrics = createMetrics({ clock, version: '1.2.3', processSeries: false });
    metrics.request('/status/:name', 'GET', 200, 0.004);
    metrics.stream()('complete');
    metrics.stream();
    metrics.logBytes(512);
    metrics.upstream('get', '404');
    metrics.relist('pods', 'gone');
    metrics.resume('cut');
    metrics.watchHeard('pods', clock.now());
    metrics.limited('MAX_STREAMS');
    let waiters = 3;
    metrics.level('waiters', () => waiters);
    waiters += 1;
    metrics.reload('AUTH_FILE', 'taken');
    metrics.reload('ACCESS_FILE', 'refused');
    await clock.turn(7_000);

    const { contentType, text } = await metrics.exposition();
    assert.match(contentType, /^text\/plain/);
    for (const series of [
      'rungate_http_request_duration_seconds_count{route="/status/:name",method="GET",status="200"} 1',
      'rungate_http_request_duration_seconds_bucket{le="0.005",route="/status/:name",method="GET",status="200"} 1',
      'rungate_log_streams_open 1',
      'rungate_log_streams_total{outcome="complete"} 1',
      'rungate_log_bytes_total 512',
      'rungate_kube_requests_total{verb="get",code="404"} 1',
      'rungate_watch_relists_total{resource="pods",reason="gone"} 1',
      'rungate_log_resumes_total{reason="cut"} 1',
      'rungate_watch_age_seconds{resource="pods"} 7',
      'rungate_limited_total{limit="MAX_STREAMS"} 1',
      'rungate_open{what="waiters"} 4',
      'rungate_reloads_total{setting="AUTH_FILE",outcome="taken"} 1',
      'rungate_reload_current{setting="AUTH_FILE"} 1',
      'rungate_reload_current{setting="ACCESS_FILE"} 0',
      `rungate_build_info{version="1.2.3",node="${process.version}"} 1`,
    ]) {
      assert(text.includes(`${series}\n`), `${series} in\n${text}`);
    }
  });

  it('shows the process and the lag of its event loop where asked to', async () => {
    const { text } = await createMetrics({ clock: new HandClock(), version: '1', processSeries: true }).exposition();
    for (const name of [
      'nodejs_eventloop_lag_p99_seconds',
      'process_resident_memory_bytes',
      'nodejs_gc_duration_seconds',
    ]) {
      assert(text.includes(name), name);
    }
  });
});
