/** EventListeners and what belongs to them as people write them, PipelineTriggers with a hook, and the names that runs have to get. */
import { createHash } from 'node:crypto';
import type { Manifest } from './admin.ts';

const API = 'triggers.tekton.dev/v1beta1';

/** The Secret that opens the hooks of tests. */
export const keySecret = 'hook-key';

/** A trigger of an EventListener. */
export interface ListenedTrigger {
  readonly name: string;
  /** Of a `cel` interceptor; without it, and without `interceptors`, everything passes. */
  readonly filter?: string;
  readonly interceptors?: readonly object[];
  /** Parameters and their values; `rev`, the revision of an event of Flux, unless told. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** Parameters of the template and their defaults; those of `bindings` without one unless told. */
  readonly params?: Readonly<Record<string, string | undefined>>;
  /** What the template makes; a run of the Pipeline `skips` whose `rev` is that parameter unless told. */
  readonly resources?: readonly object[];
  readonly serviceAccountName?: string;
}

/** What of an EventListener is not usual. */
export interface ListenerWish {
  readonly triggers?: readonly ListenedTrigger[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** The Secret that opens it; `undefined` for none. */
  readonly secret?: string | undefined;
  /** Merged into its spec. */
  readonly spec?: object;
}

/** An EventListener whose triggers have templates of their own, templates first. */
export function listenerOf(name: string, wish: ListenerWish = {}): Manifest[] {
  const { triggers = [{ name }], annotations = {}, spec = {} } = wish;
  const secret = 'secret' in wish ? wish.secret : keySecret;
  return [
    ...triggers.map((trigger) => templateOf(`${name}-${trigger.name}`, trigger)),
    {
      apiVersion: API,
      kind: 'EventListener',
      metadata: {
        name,
        annotations: { ...(secret === undefined ? {} : { 'rungate.dev/hook-secret': secret }), ...annotations },
      },
      spec: { triggers: triggers.map((trigger) => triggerOf(`${name}-${trigger.name}`, trigger)), ...spec },
    },
  ];
}

/** A listener of which no run comes: it names the templates among `objects`, those of `listener`, and what it says of an event shows whether they are known. */
export function templateProbeOf(listener: string, objects: readonly Manifest[]): Manifest {
  const templates = objects.filter(({ kind }) => kind === 'TriggerTemplate').map(({ metadata: { name = '' } }) => name);
  return {
    apiVersion: API,
    kind: 'EventListener',
    metadata: { name: `templates-of-${listener}`, annotations: { 'rungate.dev/hook-secret': keySecret } },
    spec: { triggers: templates.map((name) => ({ name, template: { ref: name } })) },
  };
}

const usualBindings = { rev: '$(body.metadata.revision)' };

function triggerOf(template: string, trigger: ListenedTrigger): object {
  const { name, filter, bindings = usualBindings, serviceAccountName } = trigger;
  const cel = { ref: { name: 'cel', kind: 'ClusterInterceptor' }, params: [{ name: 'filter', value: filter }] };
  const interceptors = trigger.interceptors ?? (filter === undefined ? [] : [cel]);
  return {
    name,
    interceptors,
    bindings: Object.entries(bindings).map(([param, value]) => ({ name: param, value })),
    template: { ref: template },
    ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
  };
}

function templateOf(name: string, trigger: ListenedTrigger): Manifest {
  const { bindings = usualBindings, resources = [runOf(trigger.name)] } = trigger;
  const params = trigger.params ?? Object.fromEntries(Object.keys(bindings).map((param) => [param, undefined]));
  return {
    apiVersion: API,
    kind: 'TriggerTemplate',
    metadata: { name },
    spec: {
      params: Object.entries(params).map(([param, standard]) => ({
        name: param,
        ...(standard === undefined ? {} : { default: standard }),
      })),
      resourcetemplates: resources,
    },
  };
}

/** A resource template: a run of `skips`, named after its trigger, whose parameters are those of the template. */
export function runOf(
  trigger: string,
  params: Readonly<Record<string, string>> = { rev: '$(tt.params.rev)' },
  metadata: object = { generateName: `${trigger}-` },
): object {
  return {
    apiVersion: 'tekton.dev/v1',
    kind: 'PipelineRun',
    metadata,
    spec: {
      pipelineRef: { name: 'skips' },
      params: Object.entries(params).map(([name, value]) => ({ name, value })),
    },
  };
}

/** The same, which Tekton lets lie: for tests that make very many. */
export function pendingRunOf(...wanted: Parameters<typeof runOf>): object {
  const run = runOf(...wanted) as { readonly spec: object };
  return { ...run, spec: { ...run.spec, status: 'PipelineRunPending' } };
}

/** A PipelineTrigger with a hook, as JSON; `hook` are fields of `spec.hook` besides its Secret. */
export function hookedTrigger(
  name: string,
  wish: {
    readonly source?: { readonly kind: string; readonly name: string; readonly apiVersion?: string };
    readonly hook?: object;
    readonly params?: Readonly<Record<string, string>>;
    readonly spec?: object;
  } = {},
): string {
  const { source = { kind: 'GitRepository', name }, hook = {}, params = { rev: '$.commitId' }, spec = {} } = wish;
  const run = runOf(name, params) as { readonly metadata: object };
  return JSON.stringify({
    apiVersion: 'pipeline.jquad.rocks/v1alpha1',
    kind: 'PipelineTrigger',
    metadata: { name },
    spec: { source, pipelineRun: run, hook: { secretRef: { name: keySecret }, ...hook }, ...spec },
  });
}

/** What a run of an EventListener is for. */
export interface RunKey {
  readonly cluster?: string;
  readonly namespace: string;
  /** `<listener>/<trigger>`. */
  readonly trigger: string;
  /** `<group>/<kind>`. */
  readonly groupKind?: string;
  readonly uid: string;
  /** Normalised; with `#<digest>` where the digest counts as well. */
  readonly revision: string;
  readonly epoch?: number;
}

/** The hash of that, the sixteen letters in the run's name, those of its second name, and the UUID. */
export function identityOf(key: RunKey): { hash: string; id16: string; second16: string; uuid: string } {
  const { cluster = '', namespace, trigger, groupKind = 'source.toolkit.fluxcd.io/GitRepository' } = key;
  const fields = ['v1', cluster, namespace, trigger, groupKind, key.uid, key.revision, String(key.epoch ?? 0)];
  const hash = createHash('sha256').update(fields.join('\n')).digest();
  const bytes = Buffer.from(hash.subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return {
    hash: hash.toString('hex'),
    id16: base32(hash.subarray(0, 10)),
    second16: base32(hash.subarray(10, 20)),
    uuid: bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  };
}

/** Lower case, without padding. https://www.rfc-editor.org/rfc/rfc4648#section-6 */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five, 2)])
    .join('');
}
