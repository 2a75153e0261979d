/**
 * Moves sources and images when an annotation says where to, so that `kubectl annotate` is all it takes:
 * `sandbox.rungate.dev/revision=1.2.0@sha256:...` on an OCIRepository or Bucket,
 * `sandbox.rungate.dev/image=example.test/app:1.2.0` on an ImagePolicy.
 */
import type { Clock } from '../../clock.ts';
import type { Part } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { ApiClient } from '../api/client.ts';
import { objectIn } from '../core/reading.ts';
import type { KubeObject, Resource } from '../object.ts';
import { badRequest, StatusError } from '../status.ts';
import { conditionsOf, jsonOf, statusOf, withConditions } from './conditions.ts';
import { type ImageRef, moveImage, moveSource, type SourceName } from './moves.ts';

/** What the mover needs. */
export interface MoverOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
}

const revisionAnnotation = 'sandbox.rungate.dev/revision';
const imageAnnotation = 'sandbox.rungate.dev/image';

const movable: readonly {
  readonly resource: Resource;
  readonly annotation: string;
  readonly move: (client: ApiClient, object: KubeObject, value: string, nowMs: number) => void;
}[] = [
  { resource: source('ocirepositories'), annotation: revisionAnnotation, move: moveTo('OCIRepository') },
  { resource: source('buckets'), annotation: revisionAnnotation, move: moveTo('Bucket') },
  {
    resource: { group: 'image.toolkit.fluxcd.io', version: 'v1', plural: 'imagepolicies' },
    annotation: imageAnnotation,
    move: choose,
  },
];

/** Follows the annotations. A value that means nothing is told in the conditions. The kinds must be served before it starts. */
export function createMover({ client, clock, log }: MoverOptions): Part {
  const endings: (() => void)[] = [];

  function follow(object: KubeObject, { resource, annotation, move }: (typeof movable)[number]): void {
    const value = object.metadata.annotations?.[annotation];
    if (value === undefined || object.metadata.deletionTimestamp !== undefined) return;
    try {
      move(client, object, value, clock.now());
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      const { name, namespace = '' } = object.metadata;
      log.warn('a source cannot be moved', { name, namespace, error: error.message });
      if (error.code === 400) refuse(client, resource, object, error.message, clock.now());
    }
  }

  return {
    name: 'mover',
    async start() {
      for (const one of movable) {
        endings.push(
          client.watch(one.resource, {}, ({ type, object }) => {
            if (type !== 'DELETED') follow(object, one);
          }),
        );
      }
    },
    async stop() {
      for (const end of endings.splice(0)) end();
    },
  };
}

function source(plural: string): Resource {
  return { group: 'source.toolkit.fluxcd.io', version: 'v1', plural };
}

function moveTo(kind: SourceName['kind']) {
  return (client: ApiClient, object: KubeObject, revision: string, nowMs: number): void => {
    const { name, namespace = '' } = object.metadata;
    // Its own write comes back through the watch: what is so already is not written again.
    if (objectIn(objectIn(object.status).artifact).revision === revision && isSettled(object)) return;
    moveSource(client, { kind, namespace, name }, revision, nowMs);
  };
}

function choose(client: ApiClient, object: KubeObject, value: string, nowMs: number): void {
  const { name, namespace = '' } = object.metadata;
  const image = imageIn(value);
  const chosen = objectIn(objectIn(object.status).latestRef);
  if (chosen.name === image.name && chosen.tag === image.tag && isSettled(object)) return;
  moveImage(client, { namespace, name }, image, nowMs);
}

/** Is what the status says of this generation, and nothing wrong with it? */
function isSettled({ metadata, status }: KubeObject): boolean {
  const { observedGeneration } = objectIn(status);
  return observedGeneration === metadata.generation && statusOf(conditionsOf(objectIn(status)), 'Ready') === 'True';
}

/** `example.test:5000/app:1.2.0@sha256:...` */
function imageIn(value: string): ImageRef {
  const [, name, tag, digest] = /^([^@\s]+):([\w][\w.-]{0,127})(?:@(sha256:[0-9a-f]{64}))?$/.exec(value) ?? [];
  if (name === undefined || tag === undefined) {
    throw badRequest(`${JSON.stringify(value)} is no image: they look like example.test/app:1.2.0`);
  }
  return { name, tag, ...(digest === undefined ? {} : { digest }) };
}

/** Says what is wrong where people look for it. Saying the same again writes nothing. */
function refuse(client: ApiClient, resource: Resource, object: KubeObject, message: string, nowMs: number): void {
  const { name, namespace = '', generation = 1 } = object.metadata;
  const said = [
    { type: 'Stalled', status: 'True', reason: 'InvalidMove', message },
    { type: 'Ready', status: 'False', reason: 'InvalidMove', message },
  ] as const;
  const conditions = withConditions(conditionsOf(objectIn(object.status)), said, [], { generation, nowMs });
  client.patch(resource, namespace, name, { status: { conditions: jsonOf(conditions) } }, { subresource: 'status' });
}
