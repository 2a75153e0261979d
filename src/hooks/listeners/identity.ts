/**
 * Who a run of a listener is. Everything that tells it apart follows from what it is for, so that whoever is asked for it again,
 * any replica and any time, asks for the same run. Pure.
 */
import { createHash } from 'node:crypto';
import { parseImage, parseRevision } from '../../flux/revision.ts';
import { labelValue } from '../../triggers/names.ts';

/** What a run is for. */
export interface RunKey {
  /** '' for the cluster that rungate is in. */
  readonly cluster: string;
  /** Of the trigger. */
  readonly namespace: string;
  /** As `triggerId` makes it. */
  readonly trigger: string;
  /** `group/Kind` of its source; '' for what is no event of Flux. */
  readonly source: string;
  /** Of its source; '' for what is no event of Flux. */
  readonly uid: string;
  /** Normalised; for what is no event of Flux, the delivery that asked for it. */
  readonly revision: string;
  /** How often its source came back to this revision. */
  readonly epoch: number;
}

/** What follows from a key. */
export interface Identity {
  /** SHA-256 of the key, in hex. */
  readonly hash: string;
  /** 80 bits of it for names and labels. */
  readonly id16: string;
  /** Other 80 bits of it, for where a name is somebody else's. */
  readonly second16: string;
  /** The same for every replica and every time, where Tekton Triggers would draw one by lot. */
  readonly uuid: string;
}

/** Names one trigger of one listener, in the namespace of the trigger. */
export function triggerId(
  listener: { readonly namespace: string; readonly name: string },
  trigger: { readonly namespace: string; readonly name: string },
): string {
  const own = `${listener.name}/${trigger.name}`;
  // Listeners of two namespaces may have one name, and share a trigger.
  return listener.namespace === trigger.namespace ? own : `${listener.namespace}/${own}`;
}

/** The identity of a key, none of whose fields holds a line break. The same key has the same one for ever. */
export function identityOf(key: RunKey): Identity {
  const { cluster, namespace, trigger, source, uid, revision, epoch } = key;
  const fields = ['v1', cluster, namespace, trigger, source, uid, revision, String(epoch)];
  const hash = createHash('sha256').update(fields.join('\n')).digest();
  return {
    hash: hash.toString('hex'),
    id16: base32(hash.subarray(0, 10)),
    second16: base32(hash.subarray(10, 20)),
    uuid: uuidOf(hash),
  };
}

/** The first 80 bits of the SHA-256 of a text, as names and labels hold them. */
export function id16Of(text: string): string {
  return base32(createHash('sha256').update(text).digest().subarray(0, 10));
}

const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567';

/** RFC 4648, in small letters, of a multiple of five bytes. */
function base32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  const size = (bytes.length * 8) / 5;
  return Array.from(
    { length: size },
    (_, place) => DIGITS[Number((bits >> BigInt(5 * (size - 1 - place))) & 31n)],
  ).join('');
}

/** Version 8, which is for what an application makes itself. https://www.rfc-editor.org/rfc/rfc9562#section-5.8 */
function uuidOf(hash: Buffer): string {
  const bytes = Buffer.from(hash.subarray(0, 16));
  bytes[6] = (bytes.readUInt8(6) & 0x0f) | 0x80;
  bytes[8] = (bytes.readUInt8(8) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** How a template names its run, with its parameters in place. */
export interface WantedName {
  readonly name: string | undefined;
  readonly generateName: string | undefined;
  /** Whether the name holds `$(uid)`: one that does not is the same for every event, unless its parameters differ. */
  readonly namedByUid: boolean;
}

/** The name of a run, and the one to take where the first is that of a run with another key. */
export interface RunNames {
  readonly name: string;
  /** The same as `name` where the template leaves no other. */
  readonly secondName: string;
}

/** As many characters of a base as leave room for a dash and 16 more in the 63 that Tekton takes. */
const MOST_OF_BASE = 46;

/**
 * The names of a run: the template's own as it is; else its `generateName` and the id, where Kubernetes would draw characters by lot;
 * else the name of the trigger and the id. Derived ones are DNS-1123 and have at most 63 characters.
 */
export function runNames(wanted: WantedName, triggerName: string, { id16, second16 }: Identity): RunNames {
  const { name, generateName, namedByUid } = wanted;
  if (name !== undefined) {
    return { name, secondName: namedByUid ? `${stem(name) || 'run'}-${second16}` : name };
  }
  const prefix = generateName === undefined ? '' : prefixOf(generateName);
  const base = prefix === '' ? `${stem(triggerName) || 'run'}-` : prefix;
  return { name: `${base}${id16}`, secondName: `${base}${second16}` };
}

/** As it is where it can be: a prefix that ends in no dash stays so. */
function prefixOf(generateName: string): string {
  const prefix = dnsText(generateName);
  return prefix.length <= MOST_OF_BASE + 1 ? prefix : `${stem(prefix)}-`;
}

function stem(text: string): string {
  return dnsText(text)
    .slice(0, MOST_OF_BASE)
    .replace(/[.-]+$/, '');
}

/** `text` in the characters of a DNS-1123 subdomain, beginning as one does. */
function dnsText(text: string): string {
  return text
    .slice(0, 4 * MOST_OF_BASE) // more would be cut anyway, and the values of an event may be as long as its body
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/[.-]*\.[.-]*/g, '.')
    .replace(/^[.-]+/, '');
}

/** The domain of our own labels and annotations. */
export const DOMAIN = 'rungate.dev';
/** The annotation that says what a run is for: a run of the same name with another one is another run. */
export const KEY_HASH_ANNOTATION = `${DOMAIN}/key-hash`;
/** The longest value that an annotation gets from an event or its source. */
const LONGEST_ANNOTATION = 2_048;

/** What a run of a listener tells of where it comes from. */
export interface RunOrigin {
  readonly listener: string;
  readonly trigger: string;
  /** Of the event: the same for every run that one trigger makes for it. */
  readonly eventId: string;
  readonly identity: Identity;
  /** Undefined for what is no event of Flux, or is taken without looking at its source. */
  readonly source: RunSource | undefined;
  /** Milliseconds since the epoch, as the event says. */
  readonly eventTimestamp: number | undefined;
}

/** The source that a run is for, as its object shows itself. */
export interface RunSource {
  /** `source.toolkit.fluxcd.io/GitRepository`. */
  readonly groupKind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly revision: string;
  readonly digest: string | undefined;
}

/** What a run carries to be found again, and to be known as the same one: labels hold what a label can, annotations all of it. */
export function runMarks(origin: RunOrigin): {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
} {
  const { listener, trigger, eventId, identity, source, eventTimestamp } = origin;
  return {
    labels: {
      'triggers.tekton.dev/eventlistener': labelValue(listener),
      'triggers.tekton.dev/trigger': labelValue(trigger),
      'triggers.tekton.dev/triggers-eventid': eventId,
      [`${DOMAIN}/trigger`]: labelValue(trigger),
      [`${DOMAIN}/key`]: identity.id16,
      ...(source === undefined
        ? {}
        : {
            [`${DOMAIN}/source-kind`]: labelValue(kindOf(source)),
            [`${DOMAIN}/source-name`]: labelValue(source.name),
            [`${DOMAIN}/revision`]: labelValue(shortRevision(source)),
          }),
    },
    annotations: {
      [KEY_HASH_ANNOTATION]: identity.hash,
      [`${DOMAIN}/via`]: 'event',
      ...(source === undefined ? {} : sourceAnnotations(source)),
      ...(eventTimestamp === undefined
        ? {}
        : { [`${DOMAIN}/event-timestamp`]: new Date(eventTimestamp).toISOString().replace('.000Z', 'Z') }),
    },
  };
}

function sourceAnnotations(source: RunSource): Readonly<Record<string, string>> {
  const { groupKind, namespace, name, uid, revision, digest } = source;
  return {
    [`${DOMAIN}/revision`]: revision.slice(0, LONGEST_ANNOTATION),
    [`${DOMAIN}/source`]: `${groupKind}/${namespace}/${name}/${uid}`,
    ...(digest === undefined ? {} : { [`${DOMAIN}/digest`]: digest.slice(0, LONGEST_ANNOTATION) }),
  };
}

function kindOf({ groupKind }: RunSource): string {
  return groupKind.slice(groupKind.lastIndexOf('/') + 1);
}

/** Twelve digits of a commit or digest, else the tag of an image, else the version. */
function shortRevision(source: RunSource): string {
  if (kindOf(source) === 'ImagePolicy') return parseImage(source.revision).tag;
  const { digest, pointer } = parseRevision(source.revision);
  return digest?.slice(0, 12) ?? pointer;
}
