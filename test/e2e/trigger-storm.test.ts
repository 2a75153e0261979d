/**
 * Five hundred triggers and a rungate that starts again: what it asks of the API server, counted by the proxy between them, and
 * what it writes. One of the triggers is wrong.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Manifest } from '../support/admin.ts';
import { eventually } from '../support/eventually.ts';
import type { PassedRequest } from '../support/fault-proxy.ts';
import type { Gateway } from '../support/gateway.ts';
import { startTriggerWorld, type TriggerStatus, type TriggerWorld } from '../support/triggers.ts';
import { auditedWrites } from '../support/writers.ts';

const TRIGGERS = 500;
const SOURCES = 20;
const PER_SOURCE = TRIGGERS / SOURCES;
/** A restart lists and watches each kind, and asks which versions are served. */
const MOST_CALLS = 60;
/** Enough for 500 triggers and their runs; what would be kept of each event would not fit. */
const HEAP_MIB = 64;
const MOST_GROWTH_KIB = 48 * 1024;
const wrong = 'trigger-0';
const revision = (number: number) => `main@sha1:${number.toString(16).padStart(40, '0')}`;

describe('500 triggers', function () {
  this.timeout(900_000);
  let world: TriggerWorld;
  let gateway: Gateway;
  const sourceOf = (place: number) => `source-${place % SOURCES}`;
  const start = async () => {
    const env = { PARTS: 'triggers', LOG_LEVEL: 'info', NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` };
    gateway = await world.startGateway({ env });
    const looked = 'rungate_reconcile_duration_seconds_count{controller="triggers",outcome="done"}';
    await eventually(async () => assert.ok((await gateway.metric(looked)) >= TRIGGERS), { withinMs: 300_000 });
  };
  /** Until nothing is due, twice in a row. */
  const settled = async () => {
    for (let quiet = 0; quiet < 2; quiet++) {
      for (const what of ['triggers', 'history']) {
        const series = `rungate_open{what="controller keys ${what}"}`;
        await eventually(async () => assert.equal(await gateway.metric(series), 0), {
          withinMs: 300_000,
          everyMs: 200,
        });
      }
    }
  };
  const triggers = async () =>
    (
      await world.admin.get<{ items: readonly (Manifest & { readonly status?: TriggerStatus })[] }>(
        `/apis/pipeline.jquad.rocks/v1alpha1/namespaces/${world.namespace}/pipelinetriggers`,
      )
    ).items;
  const runs = async () =>
    (
      await world.admin.get<{ items: readonly Manifest[] }>(
        `/apis/tekton.dev/v1/namespaces/${world.namespace}/pipelineruns`,
      )
    ).items;
  const succeeded = (count: number) =>
    eventually(
      async () => {
        const said = (await triggers()).map(({ status }) => status?.conditions?.[0]);
        assert.equal(said.filter((condition) => condition?.type === 'Success').length, count);
      },
      { withinMs: 600_000, everyMs: 500 },
    );

  before(async () => {
    world = await startTriggerWorld({ gateway: false, faults: true, env: { CACHE: 'on' } });
    await world.pipeline('skips');
    for (let place = 0; place < SOURCES; place++) await world.repository(sourceOf(place), revision(1));
    for (let place = 0; place < TRIGGERS; place += 20) {
      await Promise.all(
        Array.from({ length: 20 }, (_, more) => world.trigger(JSON.stringify(triggerOf(place + more)))),
      );
    }
    await start();
    await succeeded(TRIGGERS - 1);
    await settled();
  });
  after(() => world?.end());

  it('have one run each, but for the one that is wrong, which says so', async () => {
    assert.equal((await runs()).length, TRIGGERS - 1);
    const { conditions = [] } = await world.status(wrong);
    assert.match(conditions[0]?.message ?? '', /spec\.pipeline\.workspace\.size is "abc"/);
  });

  it('trigger 45: a restart lists and watches, asks nothing for each trigger, writes nothing and starts nothing', async () => {
    const versions = new Map((await triggers()).map(({ metadata }) => [metadata.name, resourceVersionOf(metadata)]));
    await gateway.stop();
    world.faults.forget();
    const stoppedAt = Date.now();
    await start();
    await settled();
    const calls = world.faults.requests.filter(isNotOfLease);
    const counted = await gateway.metrics();
    assert.deepEqual(calls.filter(isWrite).map(written), []);
    assert.deepEqual(
      calls.filter(({ path }) => /\/(pipelinetriggers|pipelineruns|[a-z]*repositories)\/./.test(path)),
      [],
    );
    assert.ok(calls.length <= MOST_CALLS, `${calls.length} calls: ${calls.map(written).join('\n')}`);
    // The process counts the same: it has no other way to the API server.
    const own = [...counted.matchAll(/^rungate_kube_requests_total\{.*\} (\d+)$/gm)];
    const sum = own.reduce((total, [, count]) => total + Number(count), 0);
    const leases = world.faults.requests.length - calls.length;
    assert.ok(sum <= calls.length + leases + 5, `${sum} calls of its own, ${calls.length} seen`);
    assert.equal((await runs()).length, TRIGGERS - 1);
    const after = new Map((await triggers()).map(({ metadata }) => [metadata.name, resourceVersionOf(metadata)]));
    assert.deepEqual(after, versions);
    const audited = (await auditedWrites(world)) ?? []; // where there is no audit log the proxy alone tells
    const since = audited.filter(({ what, from }) => what === 'object' && from > stoppedAt);
    assert.deepEqual(
      since.map(({ shown }) => shown),
      [],
    );
  });

  it('trigger 15: sources that are touched cost memory for a moment only, and no call', async () => {
    const touch = async (round: number) => {
      for (let place = 0; place < SOURCES; place++) {
        const path = `/apis/source.toolkit.fluxcd.io/v1/namespaces/${world.namespace}/gitrepositories/${sourceOf(place)}`;
        await world.admin.patch(path, { metadata: { annotations: { touch: String(round) } } });
      }
      await settled();
    };
    for (let round = 0; round < 5; round++) await touch(round);
    const before = await residentKiB(gateway.pid);
    world.faults.forget();
    for (let round = 5; round < 15; round++) await touch(round);
    const after = await residentKiB(gateway.pid);
    assert.deepEqual(world.faults.requests.filter(isNotOfLease).filter(isWrite).map(written), []);
    assert.ok(after - before < MOST_GROWTH_KIB, `${before} KiB before, ${after} KiB after`);
  });

  it('go on beside the one that is wrong: a revision of one source is a run for each of its triggers', async () => {
    await world.push(sourceOf(0), revision(2)); // that of the wrong one
    await eventually(async () => assert.equal((await runs()).length, TRIGGERS - 1 + PER_SOURCE - 1), {
      withinMs: 300_000,
      everyMs: 500,
    });
    await succeeded(TRIGGERS - 1);
    await settled();
    assert.equal((await runs()).length, TRIGGERS - 1 + PER_SOURCE - 1);
  });

  /** Every second one is of the latest shape; the first is wrong. */
  function triggerOf(place: number): object {
    const name = `trigger-${place}`;
    const source = { kind: 'GitRepository', name: sourceOf(place) };
    const workspace = { name: 'source', size: 'abc', accessMode: 'ReadWriteOnce' };
    const pipeline = { name: 'skips', serviceAccountName: 'default', retries: 1, maxHistory: 10, inputParams: [] };
    const pipelineRun = { apiVersion: 'tekton.dev/v1', kind: 'PipelineRun', spec: { pipelineRef: { name: 'skips' } } };
    return {
      apiVersion: 'pipeline.jquad.rocks/v1alpha1',
      kind: 'PipelineTrigger',
      metadata: { name },
      spec: {
        source,
        ...(place % 2 === 1 ? { pipelineRun } : { pipeline: name === wrong ? { ...pipeline, workspace } : pipeline }),
      },
    };
  }
});

const isNotOfLease = ({ path }: PassedRequest) => !path.includes('/leases');
const isWrite = ({ method }: PassedRequest) => method !== 'GET';
const written = ({ method, path, query }: PassedRequest) => `${method} ${path} ${query.get('watch') ?? ''}`;

function resourceVersionOf(metadata: Manifest['metadata']): unknown {
  return (metadata as { readonly resourceVersion?: string }).resourceVersion; // every object that was read has one
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
async function residentKiB(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
