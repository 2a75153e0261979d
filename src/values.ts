/** What the text of a setting or of a flag may be: each kind says so for the documentation, and reads it. */
import { isIP } from 'node:net';

/** What a setting's text may be, and how it is read. */
export interface Kind<T> {
  /** In a word or two, for the documentation. */
  readonly type: string;
  /** What to write instead of a mistake. */
  readonly allowed: string;
  /** The value, or what is wrong with the text, as the end of "PORT ...". */
  read(text: string): { readonly value: T } | { readonly wrong: string };
}

/** A whole number between two, both included. */
export const wholeNumber = (from: number, to: number): Kind<number> => ({
  type: 'integer',
  allowed: `a whole number from ${from} to ${to}`,
  read(text) {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= from && value <= to) return { value };
    return { wrong: `is ${quoted(text)}` };
  },
});

/** A port. */
export const port: Kind<number> = {
  ...wholeNumber(0, 65535),
  type: 'port',
  allowed: 'a port from 1 to 65535, or 0 for any free one',
  read(text) {
    // A Service named `metrics` makes Kubernetes set METRICS_PORT to its URL in every pod of its namespace.
    // https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    if (/^(tcp|udp|sctp):\/\//.test(text)) {
      return {
        wrong: `is ${quoted(text)}, set by Kubernetes for a Service of that name (enableServiceLinks: false in the pod prevents it)`,
      };
    }
    return wholeNumber(0, 65535).read(text);
  },
};

/** One of a few words. */
export const oneOf = <const T extends string>(...words: readonly T[]): Kind<T> => ({
  type: words.join(', '),
  allowed: `one of ${words.join(', ')}`,
  read(text) {
    const value = words.find((word) => word === text);
    return value === undefined ? { wrong: `is ${quoted(text)}` } : { value };
  },
});

/** Any text: what it means is found out where it is used. */
export const anyText = (type: string, allowed: string): Kind<string> => ({
  type,
  allowed,
  read: (value) => ({ value }),
});

/** Yes or no. */
export const trueOrFalse: Kind<boolean> = {
  type: 'true, false',
  allowed: 'one of true, false',
  read: (text) => (text === 'true' || text === 'false' ? { value: text === 'true' } : { wrong: `is ${quoted(text)}` }),
};

const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The name of an object. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
export const objectName: Kind<string> = {
  type: 'name',
  allowed: 'a name of an object: lower case letters, digits, "-" and ".", at most 253 characters',
  read: (text) => (text.length <= 253 && OBJECT_NAME.test(text) ? { value: text } : { wrong: `is ${quoted(text)}` }),
};

const NAMESPACE_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** A namespace. */
export const namespace: Kind<string> = {
  type: 'namespace',
  allowed: 'a namespace: lower case letters, digits and "-", at most 63 characters',
  read: (text) => (NAMESPACE_NAME.test(text) ? { value: text } : { wrong: `is ${quoted(text)}` }),
};

/** Namespaces, or all. */
export const namespaceList: Kind<'*' | readonly string[]> = {
  type: 'list of namespaces',
  allowed: 'namespaces separated by commas, or * for all',
  read(text) {
    const names = words(text);
    if (names.includes('*')) {
      return names.length === 1 ? { value: '*' } : { wrong: `is ${quoted(text)}, which has * beside names` };
    }
    const bad = names.find((name) => !NAMESPACE_NAME.test(name));
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is not a namespace` };
  },
};

/** Namespaces that are granted: to all (`flux-system`), or to those of one namespace (`apps/flux-system`). */
export const namespaceGrants: Kind<readonly string[]> = {
  type: 'list of namespaces',
  allowed: 'namespaces separated by commas, each for all or, as in apps/flux-system, for one namespace alone',
  read(text) {
    const names = words(text);
    const bad = names.find(
      (name) => name.split('/').length > 2 || !name.split('/').every((each) => NAMESPACE_NAME.test(each)),
    );
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is neither of them` };
  },
};

/** What one process can do: see PARTS. */
export type PartName = (typeof PARTS)[number];

const PARTS = ['gateway', 'triggers', 'hooks'] as const;

/** Parts, each once and in the order above. */
export const partList: Kind<readonly PartName[]> = {
  type: 'list of parts',
  allowed: `a list of ${PARTS.join(', ')}`,
  read(text) {
    const named = words(text);
    const unknown = named.find((name) => !PARTS.some((part) => part === name));
    if (unknown !== undefined) return { wrong: `names ${quoted(unknown)}, which is no part of rungate` };
    const value = PARTS.filter((part) => named.includes(part));
    return value.length === 0 ? { wrong: `is ${quoted(text)}` } : { value };
  },
};

/** A name or password. RFC 7617 allows neither of these; a Secret made with `echo` ends in a line break, which nobody can send. */
export const credential = (type: string, colonAllowed: boolean): Kind<string> => ({
  type,
  allowed: `text without control characters${colonAllowed ? '' : ' and without ":"'}`,
  read(text) {
    if (/[\r\n]$/.test(text)) return { wrong: 'ends with a line break (printf writes none, echo does)' };
    if (/[\x00-\x1f\x7f]/.test(text)) return { wrong: 'has a control character' };
    if (!colonAllowed && text.includes(':')) return { wrong: 'has a ":", which ends the name in Basic credentials' };
    return { value: text };
  },
});

/** A URL of HTTP, without what does not belong into one that is kept. Its slash at the end is taken off. */
export const url: Kind<string> = {
  type: 'URL',
  allowed: 'a URL that begins with http:// or https://, without credentials, query and fragment',
  read(text) {
    const read = URL.canParse(text) ? new URL(text) : undefined;
    if (read === undefined || !/^https?:$/.test(read.protocol)) return { wrong: `is ${quoted(text)}` };
    // Never shown: what stands there may be a password.
    if (read.username !== '' || read.password !== '') return { wrong: 'has credentials in it' };
    if (read.search !== '' || read.hash !== '') return { wrong: `is ${quoted(text)}` };
    return { value: read.href.replace(/\/+$/, '') };
  },
};

/** Origins, as browsers write the `Origin` header: https://www.rfc-editor.org/rfc/rfc6454#section-6.1 */
export const originList: Kind<readonly string[]> = {
  type: 'list of origins',
  allowed: 'origins such as https://dashboard.example.com, separated by commas',
  read(text) {
    const names = words(text);
    const bad = names.find((name) => !URL.canParse(name) || new URL(name).origin !== name);
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is no origin` };
  },
};

/** Addresses and networks. https://www.rfc-editor.org/rfc/rfc4632#section-3.1 */
export const networkList: Kind<readonly string[]> = {
  type: 'list of networks',
  allowed: 'addresses or networks such as 10.0.0.0/8 or fd00::/8, separated by commas',
  read(text) {
    const names = words(text);
    const bad = names.find((name) => !isNetwork(name));
    return bad === undefined ? { value: names } : { wrong: `names ${quoted(bad)}, which is no address or network` };
  },
};

function isNetwork(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}

function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** A text as JSON would show it, so that invisible characters are seen, and no longer than a line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
