/** `POST /hooks/...` as HTTP: what is decided is decided by the room `hooks`; here it comes in and goes out. */
import { TLSSocket } from 'node:tls';
import type { Request, RequestHandler } from 'express';
import type { Door } from '../../hooks/door.ts';
import { sendJson } from '../answer.ts';
import { acceptedSchema, deliverySchema, hookProblemSchema } from '../described/schemas/hooks.ts';
import { notesOf } from '../notes.ts';
import type { Operation } from '../operation.ts';

/** What is served to senders, who are no callers. */
export interface HookEntrance {
  /** Handles what is for a hook and passes on everything else. */
  readonly handler: RequestHandler;
  /** Whether a request is for a hook. */
  isMeant(request: Request): boolean;
  readonly operation: Operation;
}

const PATH = '/hooks/:namespace/:hook';

const operation: Operation = {
  id: 'postHook',
  method: 'post',
  path: PATH,
  tag: 'hooks',
  summary: 'Tells a PipelineTrigger or an EventListener what happened',
  description:
    'Taken is JSON: an event of Flux for a PipelineTrigger, any object for an EventListener. Who may deliver says the Secret that the hook names: a signature in `X-Signature`, a bearer token, a client certificate, or several of them. A hook that is not there is answered 404 with the words of 401, whoever asks. Answered 202, it is done, or will be: `results` says what. Answered 429 or 503, it is to be sent again; sent twice it makes no second run.',
  options: {},
  answers: {
    202: {
      description: 'It was taken; `results` says what became of it, trigger by trigger',
      content: { 'application/json': { schema: acceptedSchema } },
    },
    404: { description: 'No such hook', content: { 'application/json': { schema: hookProblemSchema } } },
  },
  problems: ['forbidden', 'method-not-allowed', 'length-required', 'unsupported-media-type', 'unavailable'],
  problem: hookProblemSchema,
  body: { 'application/json': { schema: deliverySchema } },
  openedBy: ['signature', 'bearer', 'certificate', 'none'],
};

/** Makes the entrance in front of a door. The names in client certificates are read by `namesIn`. */
export function hookEntrance(
  door: Door,
  namesIn: (subjectAltName: string | undefined) => readonly string[],
): HookEntrance {
  const hookOf = ({ method, url, headers: { host } }: Request) => door.hookOf({ method, url, host });
  return {
    handler: (request, response, next) => {
      const hook = hookOf(request);
      if (hook === undefined) return next();
      const notes = notesOf(request);
      notes.route = PATH;
      const { method, url, rawHeaders } = request;
      const clientNames = namesIn(trustedNames(request));
      const { client, requestId } = notes;
      const knock = { method, url, rawHeaders, body: request, client, requestId, clientNames };
      void door.answer(hook, knock).then(({ status, headers, body, code }) => {
        if (response.destroyed) return;
        notes.code = code;
        // What has not been read of the body would be taken for the next request.
        const rest = request.complete || headers.includes('Connection') ? [] : ['Connection', 'close'];
        sendJson(request, response, status, body, [...headers, ...rest]);
      });
    },
    isMeant: (request) => hookOf(request) !== undefined,
    operation,
  };
}

/** The names in a client certificate that an authority of ours vouches for, as Node writes them. */
function trustedNames({ socket }: Request): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  return socket.getPeerX509Certificate()?.subjectAltName;
}
