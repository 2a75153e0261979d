/** Receivers of Flux, as whoever calls one sees them. */
import { createHash } from 'node:crypto';

/**
 * The path at which notification-controller listens for a Receiver, as its `status.webhookPath` says. It answers to exactly this: a
 * query behind it is not found. `token` as the Secret has it, untrimmed; '' for a Receiver of type `generic-oidc`.
 * https://fluxcd.io/flux/components/notification/receivers/#webhook-path
 */
export function receiverPath(token: Buffer | string, name: string, namespace: string): string {
  return `/hook/${createHash('sha256').update(token).update(name).update(namespace).digest('hex')}`;
}
