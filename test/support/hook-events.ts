/**
 * Bodies as Flux posts them: what a controller emits, and what is left of it when notification-controller has passed it on.
 * https://github.com/fluxcd/pkg/blob/main/apis/event/v1beta1/event.go
 */

/** An event. Its keys are in the order in which Go writes them. */
export interface EventBody {
  readonly involvedObject: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string;
    readonly apiVersion?: string;
    readonly resourceVersion?: string;
  };
  readonly severity: string;
  readonly timestamp: string;
  readonly message: string;
  readonly reason: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly reportingController: string;
  readonly reportingInstance?: string;
}

/** What an event is about, and what is not usual about it. */
export interface EventWish {
  /** GitRepository unless told. */
  readonly kind?: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
  /** What `metadata.revision` says; without it there is none. */
  readonly revision?: string;
  /** Besides the revision. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly severity?: string;
  readonly reason?: string;
  readonly message?: string;
  /** Milliseconds since the epoch; now unless told. */
  readonly at?: number;
}

/** Each kind that Flux tells of: its group and version, and which controller does. */
const kinds: Readonly<Record<string, readonly [apiVersion: string, controller: string]>> = {
  GitRepository: ['source.toolkit.fluxcd.io/v1', 'source-controller'],
  OCIRepository: ['source.toolkit.fluxcd.io/v1', 'source-controller'],
  Bucket: ['source.toolkit.fluxcd.io/v1', 'source-controller'],
  HelmChart: ['source.toolkit.fluxcd.io/v1', 'source-controller'],
  HelmRepository: ['source.toolkit.fluxcd.io/v1', 'source-controller'],
  ImagePolicy: ['image.toolkit.fluxcd.io/v1', 'image-reflector-controller'],
  ImageRepository: ['image.toolkit.fluxcd.io/v1', 'image-reflector-controller'],
  Kustomization: ['kustomize.toolkit.fluxcd.io/v1', 'kustomize-controller'],
  HelmRelease: ['helm.toolkit.fluxcd.io/v2', 'helm-controller'],
};

/** An event as notification-controller forwards it: without prefixes. A new artifact unless told otherwise. */
export function fluxEvent(wish: EventWish): EventBody {
  const { kind = 'GitRepository', namespace, name, uid, revision, severity = 'info', at = Date.now() } = wish;
  const [apiVersion, reportingController] = kinds[kind] ?? ['', 'source-controller'];
  const metadata = { ...(revision === undefined ? {} : { revision }), ...wish.metadata };
  return {
    involvedObject: { kind, namespace, name, ...(uid === undefined ? {} : { uid }), apiVersion, resourceVersion: '1' },
    severity,
    timestamp: new Date(at).toISOString().replace(/\.\d+Z$/, 'Z'),
    message: wish.message ?? "stored artifact for commit 'a change'",
    reason: wish.reason ?? 'NewArtifact',
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    reportingController,
    reportingInstance: `${reportingController}-7f9d`,
  };
}

/** JSON as Go writes it: `<`, `>` and `&` are escaped, so a signature covers other bytes than those that JSON.stringify would make. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Keys that notification-controller takes out: they are for its own use. */
const taken = new Set(['checksum', 'digest', 'token']);

/** What notification-controller leaves of the event that a controller has sent it. */
export function forwarded(event: EventBody): EventBody {
  const { metadata = {}, ...rest } = event;
  const group = event.involvedObject.apiVersion?.split('/')[0] ?? '';
  const ofAnnotations: Record<string, string> = {};
  const ofController: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    if (key.startsWith('event.toolkit.fluxcd.io/')) {
      ofAnnotations[key.slice('event.toolkit.fluxcd.io/'.length)] = value;
    } else if (key.startsWith(`${group}/`)) {
      ofController[key.slice(group.length + 1)] = value;
    }
  }
  for (const key of taken) delete ofController[key];
  const kept = { ...ofAnnotations, ...ofController };
  const { reportingController, reportingInstance, ...before } = rest;
  return {
    ...before,
    ...(Object.keys(kept).length === 0 ? {} : { metadata: kept }),
    reportingController,
    ...(reportingInstance === undefined ? {} : { reportingInstance }),
  };
}
