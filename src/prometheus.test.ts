import assert from 'node:assert/strict';
import { HandClock } from '../test/support/hand-clock.ts';
import { createMetrics } from './prometheus.ts';

describe('createMetrics', () => {
  it('shows what rooms have counted', async () => {
    const clock = new HandClock();
    const metrics = createMetrics({ clock, version: '1.2.3', processSeries: false, isReady: () => true });
    metrics.request('/status/:name', 'GET', 200, 0.004);
    metrics.stream()('complete');
    metrics.stream();
    metrics.logBytes(512);
    metrics.upstream('get', '404');
    metrics.upstream('create', '201');
    metrics.reconcile('triggers', 'conflict', 0.2);
    metrics.relist('pods', 'gone');
    metrics.resume('cut');
    const [heardAtMs, later] = [clock.now(), clock.now() + 5_000];
    metrics.watching('pods', () => later);
    metrics.watching('pods', () => heardAtMs); // of another namespace
    metrics.watching('taskruns', () => heardAtMs)();
    metrics.limited('MAX_STREAMS');
    let waiters = 3;
    metrics.level('waiters', () => waiters);
    waiters += 1;
    metrics.reload('AUTH_FILE', 'taken');
    metrics.reload('ACCESS_FILE', 'refused');
    metrics.runCreated('event');
    metrics.runCreated('retry');
    metrics.runDeleted();
    metrics.hookDelivery('EventListener', 'created');
    metrics.leading(true);
    await clock.turn(7_000);

    const { contentType, text } = await metrics.exposition();
    assert.match(contentType, /^text\/plain/);
    assert.doesNotMatch(text, /rungate_watch_age_seconds\{resource="taskruns"/, 'a watch that has ended has no age');
    for (const series of [
      'rungate_http_request_duration_seconds_count{route="/status/:name",method="GET",status="200"} 1',
      'rungate_http_request_duration_seconds_bucket{le="0.005",route="/status/:name",method="GET",status="200"} 1',
      'rungate_ready 1',
      'rungate_log_streams_open 1',
      'rungate_log_streams_total{outcome="complete"} 1',
      'rungate_log_bytes_total 512',
      'rungate_kube_requests_total{verb="get",code="404"} 1',
      'rungate_kube_requests_total{verb="create",code="201"} 1',
      'rungate_reconcile_duration_seconds_count{controller="triggers",outcome="conflict"} 1',
      'rungate_reconcile_duration_seconds_bucket{le="0.1",controller="triggers",outcome="conflict"} 0',
      'rungate_watch_relists_total{resource="pods",reason="gone"} 1',
      'rungate_log_resumes_total{reason="cut"} 1',
      'rungate_watch_age_seconds{resource="pods"} 7',
      'rungate_limited_total{limit="MAX_STREAMS"} 1',
      'rungate_open{what="waiters"} 4',
      'rungate_reloads_total{setting="AUTH_FILE",outcome="taken"} 1',
      'rungate_runs_created_total{cause="event"} 1',
      'rungate_runs_created_total{cause="retry"} 1',
      'rungate_runs_deleted_total 1',
      'rungate_hook_deliveries_total{kind="EventListener",outcome="created"} 1',
      'rungate_leader 1',
      'rungate_reload_current{setting="AUTH_FILE"} 1',
      'rungate_reload_current{setting="ACCESS_FILE"} 0',
      `rungate_build_info{version="1.2.3",node="${process.version}"} 1`,
    ]) {
      assert(text.includes(`${series}\n`), `${series} in\n${text}`);
    }
  });

  it('shows the process and the lag of its event loop where asked to', async () => {
    const { text } = await createMetrics({
      clock: new HandClock(),
      version: '1',
      processSeries: true,
      isReady: () => false,
    }).exposition();
    for (const name of [
      'nodejs_eventloop_lag_p99_seconds',
      'process_resident_memory_bytes',
      'nodejs_gc_duration_seconds',
    ]) {
      assert(text.includes(name), name);
    }
  });
});

describe('the series of Pipeline Trigger Operator', () => {
  const t = { namespace: 'ci', name: 't' };
  const main = { sourceKind: 'GitRepository', repo: 'main', type: 'Success', status: 'True' } as const;
  const fresh = () =>
    createMetrics({ clock: new HandClock(), version: '1', processSeries: false, isReady: () => true });

  it('trigger 43: the status of a condition is 1, the two others are 0', async () => {
    const metrics = fresh();
    metrics.triggerCondition(t, [main]);
    const { text } = await metrics.exposition();
    assert.match(
      text,
      /^# HELP pipelinetrigger_reconcile_condition The status of the pipeline trigger's last started pipeline run\n# TYPE pipelinetrigger_reconcile_condition gauge$/m,
    );
    assert.deepEqual(seriesIn(text), [
      '{kind="PipelineTrigger",name="t",namespace="ci",sourcekind="GitRepository",repo="main",type="Success",status="True"} 1',
      '{kind="PipelineTrigger",name="t",namespace="ci",sourcekind="GitRepository",repo="main",type="Success",status="False"} 0',
      '{kind="PipelineTrigger",name="t",namespace="ci",sourcekind="GitRepository",repo="main",type="Success",status="Unknown"} 0',
    ]);
  });

  it('trigger 43: a condition that no longer holds, and a branch that is gone, are shown no more', async () => {
    const metrics = fresh();
    metrics.triggerCondition(t, [main, { ...main, repo: 'feature/x' }]);
    metrics.triggerCondition(t, [{ ...main, type: 'Error', status: 'False' }]);
    const shown = seriesIn((await metrics.exposition()).text);
    assert.equal(shown.length, 3);
    for (const series of shown) assert.match(series, /repo="main",type="Error"/);
  });

  it('trigger 36: a trigger that is deleted leaves no series, and those of others stay', async () => {
    const metrics = fresh();
    metrics.triggerCondition(t, [main]);
    metrics.triggerCondition({ ...t, namespace: 'other' }, [main]);
    metrics.triggerGone(t);
    metrics.triggerGone(t);
    const shown = seriesIn((await metrics.exposition()).text);
    assert.equal(shown.length, 3);
    for (const series of shown) assert.match(series, /namespace="other"/);
  });

  it('is bounded for each trigger, and nothing that a branch is called breaks the text', async () => {
    const metrics = fresh();
    const branches = Array.from({ length: 1000 }, (_, place) => ({
      ...main,
      repo: `"${place}\n\\${'x'.repeat(1000)}`,
    }));
    metrics.triggerCondition(t, branches);
    const shown = seriesIn((await metrics.exposition()).text);
    assert.equal(shown.length, 600);
    for (const series of shown) assert.match(series, /repo="\\"\d+\\n\\\\x{200,256}",/);
  });

  it('trigger 45: what 500 triggers say again and again adds no series', async () => {
    const metrics = fresh();
    for (let pass = 0; pass < 3; pass += 1) {
      for (let place = 0; place < 500; place += 1) metrics.triggerCondition({ ...t, name: `t${place}` }, [main]);
    }
    assert.equal(seriesIn((await metrics.exposition()).text).length, 1500);
  });

  function seriesIn(text: string): string[] {
    const name = 'pipelinetrigger_reconcile_condition';
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`))
      .map((line) => line.slice(name.length));
  }
});
