/** How the API server passes on what one of Tekton's webhooks refuses. */
import { StatusError } from '../../status.ts';

/** Which of Tekton's two webhooks refuses: the one that fills in defaults, or the one that judges. */
export type Webhook = 'webhook.pipeline.tekton.dev' | 'validation.webhook.pipeline.tekton.dev';

/** 400 as an API server answers it for a webhook. */
export function denied(webhook: Webhook, why: string): StatusError {
  return new StatusError(400, 'BadRequest', `admission webhook ${JSON.stringify(webhook)} denied the request: ${why}`);
}
