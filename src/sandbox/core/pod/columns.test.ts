import assert from 'node:assert/strict';
import { cellsOf, podOf, testKind } from '../../../../test/support/core-kinds.ts';
import type { JsonObject } from '../../object.ts';

const pods = testKind('Pod');

describe('the row of a pod', () => {
  const waiting = (reason: string) => ({ state: { waiting: { reason } } });
  const ended = (terminated: JsonObject) => ({ state: { terminated } });
  const running = { state: { running: {} }, ready: true };
  const cases: readonly {
    name: string;
    status: JsonObject;
    spec?: JsonObject;
    going?: true;
    want: readonly [string, string, string];
  }[] = [
    { name: 'new', status: { phase: 'Pending' }, want: ['0/1', 'Pending', '0'] },
    {
      name: 'gated',
      status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', reason: 'SchedulingGated' }] },
      want: ['0/1', 'SchedulingGated', '0'],
    },
    {
      name: 'being created',
      status: { phase: 'Pending', containerStatuses: [waiting('ContainerCreating')] },
      want: ['0/1', 'ContainerCreating', '0'],
    },
    {
      name: 'running',
      status: {
        phase: 'Running',
        containerStatuses: [
          { ...running, restartCount: 2, lastState: { terminated: { finishedAt: '2025-06-01T11:58:00Z' } } },
        ],
      },
      want: ['1/1', 'Running', '2 (2m ago)'],
    },
    {
      name: 'crashing',
      status: { phase: 'Running', containerStatuses: [{ ...waiting('CrashLoopBackOff'), restartCount: 3 }] },
      want: ['0/1', 'CrashLoopBackOff', '3'],
    },
    {
      name: 'completed',
      status: { phase: 'Succeeded', containerStatuses: [ended({ exitCode: 0, reason: 'Completed' })] },
      want: ['0/1', 'Completed', '0'],
    },
    {
      name: 'failed',
      status: { phase: 'Failed', containerStatuses: [ended({ exitCode: 3 })] },
      want: ['0/1', 'ExitCode:3', '0'],
    },
    {
      name: 'killed',
      status: { phase: 'Failed', containerStatuses: [ended({ exitCode: 137, signal: 9 })] },
      want: ['0/1', 'Signal:9', '0'],
    },
    { name: 'evicted', status: { phase: 'Failed', reason: 'Evicted' }, want: ['0/1', 'Evicted', '0'] },
    {
      name: 'half done',
      spec: { containers: [{}, {}] },
      status: {
        phase: 'Running',
        containerStatuses: [ended({ exitCode: 0, reason: 'Completed' }), running],
        conditions: [{ type: 'Ready', status: 'False' }],
      },
      want: ['1/2', 'NotReady', '0'],
    },
    {
      name: 'going',
      going: true,
      status: { phase: 'Running', containerStatuses: [running] },
      want: ['1/1', 'Terminating', '0'],
    },
    { name: 'lost', going: true, status: { phase: 'Running', reason: 'NodeLost' }, want: ['0/1', 'Unknown', '0'] },
    {
      name: 'initializing',
      spec: { initContainers: [{ name: 'i' }, { name: 'j' }] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [
          { name: 'i', ...ended({ exitCode: 0 }) },
          { name: 'j', ...waiting('PodInitializing'), restartCount: 1 },
        ],
      },
      want: ['0/1', 'Init:1/2', '1'],
    },
    {
      name: 'failing to initialize',
      spec: { initContainers: [{ name: 'i' }] },
      status: { phase: 'Pending', initContainerStatuses: [{ name: 'i', ...ended({ exitCode: 2 }) }] },
      want: ['0/1', 'Init:ExitCode:2', '0'],
    },
    {
      name: 'with an init image: podImage nobody has',
      spec: { initContainers: [{ name: 'i' }] },
      status: { phase: 'Pending', initContainerStatuses: [{ name: 'i', ...waiting('ImagePullBackOff') }] },
      want: ['0/1', 'Init:ImagePullBackOff', '0'],
    },
    {
      name: 'with a sidecar',
      spec: { initContainers: [{ name: 's', restartPolicy: 'Always' }] },
      status: {
        phase: 'Running',
        initContainerStatuses: [{ name: 's', ...running, started: true, restartCount: 4 }],
        containerStatuses: [running],
      },
      want: ['2/2', 'Running', '4'],
    },
  ];
  for (const { name, status, spec, going, want } of cases) {
    it(name, () => {
      const base = podOf(spec);
      const metadata =
        going === undefined ? base.metadata : { ...base.metadata, deletionTimestamp: '2025-06-01T12:00:00Z' };
      const cells = cellsOf(pods, { ...base, metadata, status });
      assert.deepEqual([cells.Ready, cells.Status, cells.Restarts], want);
      assert.equal(cells.Age, '5m');
    });
  }

  it('says where it is', () => {
    const cells = cellsOf(pods, { ...podOf({ nodeName: 'n' }), status: { podIPs: [{ ip: '10.0.0.1' }] } });
    assert.deepEqual(
      [cells.IP, cells.Node, cells['Nominated Node'], cells['Readiness Gates']],
      ['10.0.0.1', 'n', '<none>', '<none>'],
    );
  });

  it('says that it has ended', () => {
    const conditions = (phase: string) => pods.versions[0]?.rowConditions?.({ ...podOf(), status: { phase } });
    assert.deepEqual(conditions('Running'), []);
    assert.deepEqual(conditions('Failed'), [
      { type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' },
    ]);
  });
});
