/** The loop around the decisions: what rings, what is repeated, what is left alone. */
import assert from 'node:assert/strict';
import { HandClock } from '../../../../test/support/hand-clock.ts';
import { tektonApi } from '../../../../test/support/tekton-api.ts';
import type { Part } from '../../../lifecycle.ts';
import { silentLog } from '../../../log.ts';
import type { ApiFault } from '../../api/faults.ts';
import { conflictOnWrite, denyAdmission, loseAnswer, quotaFull } from '../../api/faults.ts';
import type { JsonObject, KubeObject, Resource } from '../../object.ts';
import { StatusError } from '../../status.ts';
import { createTektonControllers } from './controllers.ts';
import { claims, events, pipelineRuns, pods, taskRuns } from './types.ts';

const namespace = 'here';
const taskSpec = { steps: [{ name: 's', image: 'i', script: 'true' }] };
const volumeClaimTemplate = {
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
};
const onePipeline = { pipelineSpec: { tasks: [{ name: 'a', taskSpec }] } };

describe('tekton controllers', () => {
  let clock: HandClock;
  let faults: ApiFault[];
  let api: ReturnType<typeof tektonApi>;
  let controllers: Part;
  beforeEach(async () => {
    clock = new HandClock();
    faults = [];
    api = tektonApi(clock, faults);
    api.addNamespace(namespace);
    controllers = start();
    await controllers.start();
  });
  afterEach(() => stop());

  function start(): Part {
    return createTektonControllers({ client: api.client, clock, log: silentLog });
  }

  async function stop(): Promise<void> {
    await controllers.stop(new AbortController().signal);
    assert.equal(clock.sleeping, 0, 'no timer is left');
  }

  function createRun(resource: Resource, name: string, spec: JsonObject): KubeObject {
    const kind = resource.plural === 'taskruns' ? 'TaskRun' : 'PipelineRun';
    return api.client.create(resource, { apiVersion: 'tekton.dev/v1', kind, metadata: { name, namespace }, spec });
  }

  function conditionOf(resource: Resource, name: string): string {
    const status = api.client.get(resource, namespace, name)?.status as { conditions?: JsonObject[] } | undefined;
    const { reason, status: truth } = status?.conditions?.[0] ?? {};
    return `${truth} ${reason}`;
  }

  /** Ends a pod as the kubelet would. */
  function endPod(name: string, exitCode: number): void {
    const pod = api.client.get(pods, namespace, name);
    assert.ok(pod);
    const terminated = {
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      startedAt: now(),
      finishedAt: now(),
    };
    const containerStatuses = [
      { name: 'step-s', image: 'i', imageID: '', ready: false, restartCount: 0, state: { terminated } },
    ];
    const status = { ...(pod.status as JsonObject), phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses };
    api.client.update(pods, { ...pod, status }, { subresource: 'status' });
  }

  function now(): string {
    return new Date(clock.now()).toISOString().replace(/\.\d+/, '');
  }

  it('a change of a pod moves its TaskRun, and that its PipelineRun', async () => {
    createRun(pipelineRuns, 'run', onePipeline);
    await clock.turn(0);
    assert.equal(conditionOf(taskRuns, 'run-a'), 'Unknown Pending');
    endPod('run-a-pod', 0);
    await clock.turn(0);
    assert.equal(conditionOf(taskRuns, 'run-a'), 'True Succeeded');
    assert.equal(conditionOf(pipelineRuns, 'run'), 'True Succeeded');
  });

  it('runs that were there before it started are found', async () => {
    await stop();
    createRun(pipelineRuns, 'run', onePipeline);
    controllers = start();
    await controllers.start();
    await clock.turn(0);
    assert.equal(conditionOf(taskRuns, 'run-a'), 'Unknown Pending');
  });

  it('a restart in the middle changes nothing', async () => {
    createRun(pipelineRuns, 'run', onePipeline);
    await clock.turn(0);
    await stop();
    endPod('run-a-pod', 7);
    controllers = start();
    await controllers.start();
    await clock.turn(0);
    assert.equal(conditionOf(pipelineRuns, 'run'), 'False Failed');
    assert.equal(api.client.list(pods).length, 1);
  });

  const writes = [
    { plural: 'pipelineruns', subresource: 'status' },
    { plural: 'taskruns', verb: 'create' },
    { plural: 'taskruns', subresource: 'status' },
    { plural: 'pods', verb: 'create' },
  ] as const;

  for (const filter of writes) {
    it(`whoever wrote first is read again, and nothing is made twice: ${Object.values(filter).join(' ')}`, async () => {
      for (const [index, fault] of [1, 2, 3]
        .flatMap((n) => [conflictOnWrite(n, filter), loseAnswer(n, filter)])
        .entries()) {
        faults.splice(0, faults.length, fault);
        createRun(pipelineRuns, `run${index}`, onePipeline);
        await clock.turn(1_000);
        endPod(`run${index}-a-pod`, 0);
        await clock.turn(1_000);
        assert.equal(conditionOf(pipelineRuns, `run${index}`), 'True Succeeded');
      }
      assert.equal(api.client.list(taskRuns).length, 6);
      assert.equal(api.client.list(pods).length, 6);
    });
  }

  it('a refusal that may pass is tried again and again, more and more slowly', async () => {
    let attempts = 0;
    faults.push({
      beforeWrite({ verb, plural }) {
        if (verb !== 'create' || plural !== 'taskruns') return;
        attempts++;
        throw new StatusError(500, 'InternalError', 'not now');
      },
    });
    createRun(pipelineRuns, 'run', onePipeline);
    await clock.turn(10_000);
    assert.ok(attempts > 5 && attempts < 15, `${attempts} attempts in ten seconds`);
    assert.equal(conditionOf(pipelineRuns, 'run'), 'Unknown Started');
    faults.length = 0;
    await clock.turn(10_000);
    assert.equal(conditionOf(pipelineRuns, 'run'), 'Unknown Running');
  });

  it('a child that the API finds invalid ends the run', async () => {
    faults.push({
      beforeWrite({ verb, plural }) {
        if (verb === 'create' && plural === 'taskruns') throw new StatusError(400, 'BadRequest', 'denied');
      },
    });
    createRun(pipelineRuns, 'run', onePipeline);
    await clock.turn(1_000);
    assert.equal(conditionOf(pipelineRuns, 'run'), 'False CreateRunFailed');
  });

  it('a claim is made for a template, and is the run’s', async () => {
    const task = { name: 'a', workspaces: [{ name: 'w' }], taskSpec: { ...taskSpec, workspaces: [{ name: 'w' }] } };
    createRun(pipelineRuns, 'run', {
      workspaces: [{ name: 'w', volumeClaimTemplate }],
      pipelineSpec: { workspaces: [{ name: 'w' }], tasks: [task] },
    });
    await clock.turn(1_000);
    const [claim, ...more] = api.client.list(claims, { namespace });
    assert.deepEqual(more, []);
    assert.equal(claim?.metadata.ownerReferences?.[0]?.name, 'run');
    const [pod] = api.client.list(pods);
    assert.ok(pod);
    const { volumes } = pod.spec as { volumes: JsonObject[] };
    assert.deepEqual(
      volumes.flatMap((volume) => volume.persistentVolumeClaim ?? []),
      [{ claimName: claim?.metadata.name }],
    );
  });

  it('a claim that there is no room for holds the run up, one that is wrong ends it', async () => {
    const workspaces = [{ name: 'w', volumeClaimTemplate }];
    const pipelineSpec = { ...onePipeline.pipelineSpec, workspaces: [{ name: 'w' }] };
    faults.push(quotaFull('persistentvolumeclaims', namespace));
    createRun(pipelineRuns, 'held', { workspaces, pipelineSpec });
    await clock.turn(1_000);
    assert.equal(conditionOf(pipelineRuns, 'held'), 'Unknown PipelineRunPending');
    assert.deepEqual(api.client.list(taskRuns), []);
    faults.length = 0;
    await clock.turn(30_000);
    assert.equal(conditionOf(pipelineRuns, 'held'), 'Unknown Running');

    faults.push(denyAdmission('no.claims', 'because', { plural: 'persistentvolumeclaims' }));
    createRun(pipelineRuns, 'wrong', { workspaces, pipelineSpec });
    createRun(taskRuns, 'wrong', { workspaces, taskSpec: { ...taskSpec, workspaces: [{ name: 'w' }] } });
    await clock.turn(1_000);
    assert.equal(conditionOf(pipelineRuns, 'wrong'), 'False CouldntCreateWorkspacePVC');
    assert.equal(conditionOf(taskRuns, 'wrong'), 'False CouldntCreateWorkspacePVC');
  });

  it('runs that are somebody else’s, or on their way out, are left alone', async () => {
    createRun(pipelineRuns, 'theirs', { ...onePipeline, managedBy: 'example.dev/other' });
    createRun(taskRuns, 'theirs', { taskSpec, managedBy: 'example.dev/other' });
    api.client.create(pipelineRuns, {
      apiVersion: 'tekton.dev/v1',
      kind: 'PipelineRun',
      metadata: { name: 'going', namespace, finalizers: ['example.dev/keep'] },
      spec: { ...onePipeline },
    });
    api.client.remove(pipelineRuns, namespace, 'going');
    await clock.turn(1_000);
    assert.equal(api.client.get(pipelineRuns, namespace, 'theirs')?.status, undefined);
    assert.equal(api.client.get(taskRuns, namespace, 'theirs')?.status, undefined);
    assert.equal(api.client.get(pipelineRuns, namespace, 'going')?.status, undefined);
    assert.deepEqual(api.client.list(pods), []);
  });

  it('it does little: a run that nothing happens to is not written', async () => {
    createRun(pipelineRuns, 'run', onePipeline);
    await clock.turn(1_000);
    const versions = () =>
      [...api.client.list(pipelineRuns), ...api.client.list(taskRuns), ...api.client.list(pods)].map(
        ({ metadata }) => metadata.resourceVersion,
      );
    const before = versions();
    await clock.turn(600_000);
    assert.deepEqual(versions(), before);
  });

  it('Events tell each verdict once', async () => {
    createRun(pipelineRuns, 'run', onePipeline);
    await clock.turn(0);
    endPod('run-a-pod', 7);
    await clock.turn(1_000);
    const told = api.client.list(events, { namespace }).map(({ involvedObject, type, reason, message, count }) => {
      const { kind, name } = involvedObject as { kind: string; name: string };
      return `${kind}/${name} ${type} ${reason} ${count}: ${message ?? ''}`;
    });
    assert.deepEqual(told.sort(), [
      'PipelineRun/run Normal Running 1: Tasks Completed: 0 (Failed: 0, Cancelled 0), Incomplete: 1, Skipped: 0',
      'PipelineRun/run Normal Started 1: ',
      'PipelineRun/run Warning Failed 1: Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 0',
      'TaskRun/run-a Normal Pending 1: Pending',
      'TaskRun/run-a Normal Started 1: ',
      'TaskRun/run-a Warning Failed 1: "step-s" exited with code 7: Error',
    ]);
  });
});
