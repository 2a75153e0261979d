/** Asking Flux to look at a source now, instead of when its interval has passed. */
import { createHmac } from 'node:crypto';
import { faultOf } from '../../fault.ts';
import type { SourceKind } from '../../flux/types.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import type { KubeWriter } from '../../kube/writer.ts';
import type { Log } from '../../log.ts';
import type { SourcePath } from './gather.ts';

/** A Receiver of type `generic-hmac`, or `generic`, which asks Flux to look at the sources that it names. */
export interface FluxReceiver {
  /** With the path that its `status.webhookPath` tells. */
  readonly url: string;
  /** The `token` of its Secret, untrimmed. */
  readonly key: Buffer;
}

/** Where Flux is asked. */
export interface FluxLook {
  /**
   * Asks that a source be looked at; `token` is what its `status.lastHandledReconcileAt` says when that was done, unless a Receiver
   * passed it on. Resolves with whether Flux was asked; why not is logged. Asking twice with one token is asking once. Rejects only with
   * the reason of `signal`.
   */
  ask(kind: SourceKind, source: ObjectRef, token: string, signal: AbortSignal): Promise<boolean>;
}

/** What asking takes. */
export interface FluxLookParts {
  /** Fenced. */
  readonly writer: Pick<KubeWriter, 'patch'>;
  readonly sourcePath: SourcePath;
  /** Asked where rungate may not patch a source itself. */
  readonly receiver?: FluxReceiver;
  readonly log: Log;
}

/** https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile */
const REQUESTED_AT = 'reconcile.fluxcd.io/requestedAt';
const PATIENCE_MS = 5_000;

/** Makes one. The annotation is tried first: it asks for this one source and tells when it was looked at. */
export function createFluxLook({ writer, sourcePath, receiver, log }: FluxLookParts): FluxLook {
  const annotate = async (kind: SourceKind, source: ObjectRef, token: string, signal: AbortSignal): Promise<void> => {
    const path = await sourcePath(kind, source);
    if (path === undefined) return;
    const merge = { metadata: { annotations: { [REQUESTED_AT]: token } } };
    await writer.patch(path, merge, { signal, timeoutMs: PATIENCE_MS });
  };
  return {
    async ask(kind, source, token, signal) {
      const about = { kind, ...source };
      try {
        await annotate(kind, source, token, signal);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        if (receiver === undefined) {
          log.info('Flux was not asked to look: apply k8s/components/triggers-run, or set FLUX_RECEIVER_URL', {
            ...about,
            error: faultOf(error).message,
          });
          return false;
        }
      }
      try {
        await call(receiver, signal);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        log.warn('the Receiver of Flux could not be asked', {
          ...about,
          error: error instanceof Error ? error.message : String(error),
        });
        return false;
      }
    },
  };
}

/** https://fluxcd.io/flux/components/notification/receivers/#generic-hmac-receiver */
async function call({ url, key }: FluxReceiver, signal: AbortSignal): Promise<void> {
  const body = '{}';
  const signature = createHmac('sha256', key).update(body).digest('hex');
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Signature': `sha256=${signature}` },
    body,
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
}
