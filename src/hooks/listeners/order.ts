/** From a trigger and what a delivery is about to the run that is ordered: its key, its name, and what it carries. Pure. */
import { Fault } from '../../fault.ts';
import { objectOf } from '../../kube/objects.ts';
import { type Identity, id16Of, identityOf, type RunSource, runMarks, runNames } from './identity.ts';
import type { Listener, ReadyTrigger } from './resolve.ts';
import { renderRun } from './template.ts';
import type { LedgerEntry, RunOrder } from './world.ts';

/** What a delivery is about: the same of what is delivered again, and of what tells of the same thing. */
export interface Subject {
  /** `group/Kind`; '' for what has no source that was looked at. */
  readonly groupKind: string;
  /** Of the source; '' without one. */
  readonly uid: string;
  /** What a run is made once for. */
  readonly revision: string;
  readonly source: RunSource | undefined;
  /** Milliseconds since the epoch, as the event says. */
  readonly eventTimestamp: number | undefined;
}

/** One of the runs that a trigger makes. */
export interface Piece {
  readonly listener: Listener;
  readonly trigger: ReadyTrigger;
  /** Of its template, in those of the trigger. */
  readonly place: number;
  readonly subject: Subject;
}

/** What the ledger has the runs of a piece under. Those behind the first have their own: one that failed is not taken for made. */
export function ledgerOf({ trigger, place, subject }: Piece): Omit<LedgerEntry, 'epoch' | 'keyHash'> {
  const id = idOf(trigger, place);
  const { uid, revision } = subject;
  return { namespace: trigger.ref.namespace, triggerId16: id16Of(id), triggerId: id, source: uid, revision };
}

/** Who the run of a piece is. */
export function identityOfPiece({ trigger, place, subject }: Piece, epoch: number): Identity {
  const { groupKind, uid, revision } = subject;
  return identityOf({
    cluster: '',
    namespace: trigger.ref.namespace,
    trigger: idOf(trigger, place),
    source: groupKind,
    uid,
    revision,
    epoch,
  });
}

function idOf({ id }: ReadyTrigger, place: number): string {
  return place === 0 ? id : `${id}#${place}`;
}

/** What else a run is made of. */
export interface OrderGround {
  readonly params: ReadonlyMap<string, string>;
  /** `$(uid)`: the same in all runs that a trigger makes of one delivery. */
  readonly eventId: string;
  readonly epoch: number;
}

const MOST_OF_NAME = 63;
const NAME = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/**
 * The run to create. The same arguments order the same run. Throws `bad-request` with a sentence that holds nothing of the event, where its
 * parameters make no run.
 */
export function orderRun(piece: Piece, { params, eventId, epoch }: OrderGround): RunOrder {
  const { listener, trigger, place, subject } = piece;
  const template = trigger.templates[place];
  if (template === undefined) throw new Fault('internal', `there is no template ${place}`);
  const identity = identityOfPiece(piece, epoch);
  const rendered = renderRun(template, { params, uid: eventId, dollars: listener.options.dollars });
  const { name, secondName } = runNames(rendered, trigger.ref.name, identity);
  if (name.length > MOST_OF_NAME || !NAME.test(name)) {
    throw new Fault(
      'bad-request',
      `metadata.name comes to no name for a run; it has at most ${MOST_OF_NAME} small letters, digits, dashes and dots`,
    );
  }
  const { manifest } = rendered;
  const metadata = objectOf(manifest.metadata);
  const marks = runMarks({
    listener: listener.ref.name,
    trigger: trigger.ref.name,
    eventId,
    identity,
    source: subject.source,
    eventTimestamp: subject.eventTimestamp,
  });
  return {
    manifest: {
      ...manifest,
      metadata: {
        ...metadata,
        name,
        namespace: template.namespace,
        labels: { ...objectOf(metadata.labels), ...marks.labels },
        annotations: { ...objectOf(metadata.annotations), ...marks.annotations },
      },
    },
    keyHash: identity.hash,
    secondName,
    serviceAccount: trigger.serviceAccount,
    entry: { ...ledgerOf(piece), keyHash: identity.hash, epoch },
  };
}
