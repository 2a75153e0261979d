/** The webhooks against what the real ones have answered: `tektonwebhook.cases.yaml` holds the recordings. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { administrator } from '../access/caller.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { tektonWebhooks } from './tektonwebhook.ts';

/** One recording: an object that was created, and what became of it. Exactly one of the last three. */
interface Recorded {
  readonly name: string;
  readonly kind: string;
  readonly version: string;
  readonly metadata?: { readonly name?: string; readonly labels?: { readonly [key: string]: string } };
  readonly spec: JsonObject;
  readonly labels?: { readonly [key: string]: string };
  readonly becomes?: JsonObject;
  readonly refused?: string;
  readonly unreadable?: string;
}

// The file is ours, and of this shape.
const recorded = parse(
  readFileSync(join(import.meta.dirname, 'tektonwebhook.cases.yaml'), 'utf8'),
) as readonly Recorded[];

describe("Tekton's webhooks", () => {
  const groups = Map.groupBy(recorded, ({ kind, version }) => `${kind} in ${version}`);
  for (const [group, cases] of groups) {
    describe(group, () => {
      // Where it wants a feature gate for pipelines in pipelines, the sandbox takes them: see docs/sandbox.md.
      for (const one of cases.filter(({ name }) => !name.startsWith('a nested pipeline')))
        it(one.name, () => check(one));
    });
  }

  describe('changes', () => {
    const pending = { pipelineRef: { name: 'p' }, status: 'PipelineRunPending' };
    const over = { conditions: [{ type: 'Succeeded', status: 'False' }], startTime: '2026-11-01T10:00:00Z' };
    const started = { startTime: '2026-11-01T10:00:00Z' };
    const task = { taskRef: { name: 't' } };
    const table: readonly {
      readonly name: string;
      readonly kind: 'PipelineRun' | 'TaskRun';
      readonly before: { readonly spec: JsonObject; readonly status?: JsonObject };
      readonly after: { readonly spec?: JsonObject; readonly status?: JsonObject };
      readonly want?: string;
    }[] = [
      {
        name: 'a pending run gets another parameter',
        kind: 'PipelineRun',
        before: { spec: pending },
        after: { spec: { ...pending, params: [{ name: 'a', value: 'b' }] } },
        want: 'invalid value: Once the PipelineRun has started, only status updates are allowed: spec',
      },
      {
        name: 'a pending run is managed by somebody else',
        kind: 'PipelineRun',
        before: { spec: pending },
        after: { spec: { ...pending, managedBy: 'me' } },
        want: 'invalid value: managedBy is immutable: spec.spec.managedBy',
      },
      {
        name: 'a pending run is started',
        kind: 'PipelineRun',
        before: { spec: pending },
        after: { spec: { pipelineRef: { name: 'p' } } },
      },
      {
        name: 'a run that is over is cancelled',
        kind: 'PipelineRun',
        before: { spec: { pipelineRef: { name: 'p' } }, status: over },
        after: { spec: { pipelineRef: { name: 'p' }, status: 'Cancelled' } },
        want: 'invalid value: Once the PipelineRun is complete, no updates are allowed: spec',
      },
      {
        name: 'a run that is over is held',
        kind: 'PipelineRun',
        before: { spec: { pipelineRef: { name: 'p' } }, status: over },
        after: { spec: pending },
        want:
          'invalid value: Once the PipelineRun is complete, no updates are allowed: spec\n' +
          'invalid value: PipelineRun cannot be Pending after it is started: spec.status',
      },
      {
        name: 'a pending run reports that it has started',
        kind: 'PipelineRun',
        before: { spec: pending },
        after: { status: started },
        want: 'invalid value: PipelineRun cannot be Pending after it is started: spec.status',
      },
      {
        name: 'a run reports that it has started',
        kind: 'PipelineRun',
        before: { spec: { pipelineRef: { name: 'p' } } },
        after: { status: started },
      },
      {
        name: 'a task run gets another timeout',
        kind: 'TaskRun',
        before: { spec: task, status: started },
        after: { spec: { ...task, timeout: '5m' } },
        want: 'invalid value: Once the TaskRun has started, only status and statusMessage updates are allowed: spec',
      },
      {
        name: 'a task run is cancelled',
        kind: 'TaskRun',
        before: { spec: task, status: started },
        after: { spec: { ...task, status: 'TaskRunCancelled', statusMessage: 'enough' } },
      },
      {
        name: 'a task run that is over is managed by somebody else',
        kind: 'TaskRun',
        before: { spec: task, status: over },
        after: { spec: { ...task, managedBy: 'me' } },
        want:
          'invalid value: Once the TaskRun is complete, no updates are allowed: spec\n' +
          'invalid value: managedBy is immutable: spec.spec.managedBy',
      },
    ];
    for (const { name, kind, before, after, want } of table) {
      it(name, () => {
        const old = objectOf(kind, 'v1', before.spec);
        mutate(old, undefined);
        if (before.status !== undefined) old.status = before.status;
        const changed = structuredClone(old);
        if (after.spec !== undefined) changed.spec = structuredClone(after.spec);
        if (after.status !== undefined) changed.status = after.status;
        assert.equal(
          refusal(() => {
            mutate(changed, old);
            webhookOf(kind).admit?.(changed, old);
          }),
          want === undefined ? undefined : refused(want),
        );
      });
    }

    it('a pipeline in a pipeline is taken, and filled in like any other', () => {
      const tasks = (taskRef: JsonObject) => ({ tasks: [{ name: 'b', taskRef }] });
      const object = objectOf('Pipeline', 'v1', { tasks: [{ name: 'a', pipelineSpec: tasks({ name: 't' }) }] });
      mutate(object, undefined);
      webhookOf('Pipeline').admit?.(object, undefined);
      assert.deepEqual(object.spec, { tasks: [{ name: 'a', pipelineSpec: tasks({ name: 't', kind: 'Task' }) }] });
    });

    it('a second passage changes nothing', () => {
      for (const one of recorded.filter(({ becomes }) => becomes !== undefined)) {
        const object = objectOf(one.kind, one.version, one.spec);
        mutate(object, undefined);
        const again = structuredClone(object);
        mutate(again, undefined);
        assert.deepEqual(again, object, one.name);
      }
    });
  });
});

function check(one: Recorded): void {
  const object = objectOf(one.kind, one.version, one.spec, one.metadata);
  const why = refusal(() => {
    mutate(object, undefined);
    webhookOf(one.kind).admit?.(object, undefined);
  });
  if (one.unreadable !== undefined) {
    const said = 'admission webhook "webhook.pipeline.tekton.dev" denied the request: mutation failed: ';
    assert.equal(why, said + one.unreadable);
  } else if (one.refused !== undefined) {
    assert.equal(why, refused(one.refused));
  } else {
    assert.equal(why, undefined);
    // What is shown has been stored as v1 (or the kind's newest), and has come back.
    const stored = webhookOf(one.kind).convert?.(
      object,
      one.version === 'v1beta1' && isInV1(one.kind) ? 'v1' : one.version,
    );
    const shown = webhookOf(one.kind).convert?.(stored ?? object, one.version);
    assert.deepEqual(JSON.parse(JSON.stringify(shown?.spec)), one.becomes);
    if (one.labels !== undefined) assert.deepEqual(object.metadata.labels, one.labels);
  }
}

function isInV1(kind: string): boolean {
  return kind !== 'CustomRun' && kind !== 'StepAction';
}

function mutate(object: KubeObject, old: KubeObject | undefined): void {
  webhookOf(object.kind).mutate?.(object, old, administrator);
}

function webhookOf(kind: string) {
  const webhook = tektonWebhooks.get(`${kind.toLowerCase()}s.tekton.dev`);
  assert.ok(webhook);
  return webhook;
}

function refused(sentence: string): string {
  return `admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: ${sentence}`;
}

/** The sentence with which something is refused; every refusal is a 400. */
function refusal(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    assert.deepEqual([error.code, error.reason], [400, 'BadRequest']);
    return error.message;
  }
}

function objectOf(kind: string, version: string, spec: JsonObject, metadata: Recorded['metadata'] = {}): KubeObject {
  return {
    apiVersion: `tekton.dev/${version}`,
    kind,
    metadata: { name: 'n', uid: '', resourceVersion: '', creationTimestamp: '', ...structuredClone(metadata) },
    spec: structuredClone(spec),
  };
}
