/** Asking a Kubernetes API server: short calls that end, and long ones that stream. HTTP errors become Faults here. */
import type { IncomingMessage } from 'node:http';
import type { JsonObject } from './objects.ts';

/** A request that streams: whatever the server answered, unread. The caller must read or destroy `body`. */
export interface StreamAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: IncomingMessage;
}

/** The reading half of a Kubernetes API. Paths are absolute (`/apis/tekton.dev/v1/...`) and carry their own query. */
export interface KubeReader {
  /**
   * GETs a JSON object. Faults: `not-found` (404), `gone` (410), `refused` (401, 403, and any other 4xx),
   * `unavailable` (429, 5xx, network; `retryAfterMs` from Retry-After), `timeout` (no answer within `timeoutMs`, 10 s unless told).
   */
  get(path: string, more?: { signal?: AbortSignal; timeoutMs?: number }): Promise<JsonObject>;
  /**
   * Opens a GET on a socket of its own and resolves with the answer's head, whatever its status. Faults: `unavailable`
   * (network), `timeout` (no head within `headTimeoutMs`, 30 s unless told). Aborting `signal` destroys the socket.
   */
  stream(path: string, more?: { signal?: AbortSignal; headTimeoutMs?: number }): Promise<StreamAnswer>;
}
