/** What of an answer a case is about, where the whole would say more than it asks. */
import type { Json } from '../../src/sandbox/object.ts';
import { isObject } from './mask.ts';

/** The names of a list's items; an error stays whole. */
export const names = { show: (body: Json) => namesOf(body) ?? body };

/** The names of a list's items, and its metadata. */
export const page = {
  show: (body: Json): Json => {
    const items = namesOf(body);
    return items && isObject(body) ? { metadata: body.metadata, items } : body;
  },
};

/** Nothing of the body. */
export const nothing = { show: () => undefined };

/** These fields of the body and no others, each by its path; an error stays whole. */
export function only(...paths: readonly string[]): { show(body: Json): Json } {
  return {
    show: (body) =>
      isObject(body) && body.kind === 'Status'
        ? body
        : Object.fromEntries(paths.map((path) => [path, valueAt(body, path) ?? null])),
  };
}

/** Of a watch's event its type, the name of the object and these fields of it. */
export function changes(...paths: readonly string[]): { show(event: Json): Json } {
  return {
    show: (event) =>
      isObject(event) && isObject(event.object) && event.type !== 'ERROR'
        ? {
            type: event.type,
            name: valueAt(event.object, 'metadata.name'),
            ...Object.fromEntries(paths.map((path) => [path, valueAt(event.object ?? null, path)])),
          }
        : event,
  };
}

/** A refusal whose sentence ends in the words of a parser, which are each parser's own: the sentence up to there. */
export function sayingUpTo(words: string): { show(body: Json): Json } {
  return {
    show: (body) => {
      const message = String(valueAt(body, 'message'));
      const end = message.indexOf(words);
      const [code = null, reason = null] = [valueAt(body, 'code'), valueAt(body, 'reason')];
      return end < 0 ? body : { code, reason, message: message.slice(0, end) };
    },
  };
}

/** A refusal for several causes, which the real server tells in any order: sorted, and without the sentence made of them. */
export const inAnyOrder = {
  show: (body: Json): Json => {
    const causes = valueAt(body, 'details.causes');
    const sorted = Array.isArray(causes) ? causes.map((cause) => JSON.stringify(cause)).sort() : [];
    return { reason: valueAt(body, 'reason'), causes: sorted.map((cause) => JSON.parse(cause) as Json) };
  },
};

/** The refusal of an apply that conflicts with several managers: its sentence is in order, the causes are in any. */
export const conflicts = {
  show: (body: Json): Json => {
    const { reason, causes } = inAnyOrder.show(body) as { reason: Json; causes: Json };
    return { reason, message: valueAt(body, 'message') ?? null, causes };
  },
};

/** The value at a path, `spec.containers.0.name`; undefined when there is none. */
export function valueAt(value: Json, path: string): Json | undefined {
  let found: Json | undefined = value;
  for (const step of path.split('.')) {
    found = Array.isArray(found) ? found[Number(step)] : isObject(found) ? found[step] : undefined;
  }
  return found;
}

/** The names of the items; undefined when it is no list. */
export function namesOf(body: Json | undefined): Json[] | undefined {
  const items = isObject(body) ? body.items : undefined;
  return Array.isArray(items) ? items.map((item) => valueAt(item, 'metadata.name') ?? null) : undefined;
}
