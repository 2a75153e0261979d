/** What a decision about a trigger depends on, and what it says. Types alone, and the times that both sides go by. */
import type { Source } from '../../flux/types.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import type { StoredEvent } from '../../triggers/told.ts';
import type { ConditionSeries, SourceTrouble } from './conditions.ts';
import type { TriggerEvent } from './event.ts';
import type { PipelineTrigger } from './resource.ts';

/** What is to be tried again is tried after this time at the latest, also where the clock was set back meanwhile. */
export const LONGEST_WAIT_MS = 10 * 60_000;
/** How long Flux gets to look at a source: a fetch takes a minute at most, and most take seconds. */
export const LOOK_MS = 20_000;

/** What came of an order to create a run. It counts for the sequence and attempt that it names, and no others. */
export type Tried = { readonly sequence: number; readonly attempt: number } & (
  | { readonly came: 'run'; readonly run: string }
  /** Another cluster runs it. */
  | { readonly came: 'elsewhere'; readonly message: string }
  /**
   * It was refused. `untilMs`: when to try again; without it, not before the trigger has changed, or `details`, those of the event
   * that was tried. `taken`: the name that another run has.
   */
  | {
      readonly came: 'refused';
      readonly message: string;
      readonly generation: number;
      readonly details?: string;
      readonly untilMs?: number;
      readonly taken?: string;
    }
);

/** What a ManagedCredential gives to runs, or why it does not. */
export type CredentialFact =
  | { readonly ready: true; readonly serviceAccountName?: string; readonly secretName?: string }
  | { readonly ready: false; readonly message: string };

/** Everything a decision depends on. */
export interface TriggerFacts {
  readonly trigger: PipelineTrigger;
  readonly source: Source | SourceTrouble;
  /** The Pipeline that the template names does not exist. */
  readonly pipelineMissing: boolean;
  /** Of triggers that name one. */
  readonly credential?: CredentialFact;
  /** The run of that name, or `gone`; undefined while that is not known. Asked of lines that go on. */
  run(name: string): PipelineRun | 'gone' | undefined;
  /** By line. */
  readonly tried: ReadonlyMap<string, Tried>;
  /** Of a trigger that believes its events: those that are stored, the oldest first. */
  readonly stored: readonly StoredEvent[];
  /** What Flux was asked last. */
  readonly look?: Look;
  readonly now: number;
}

/** That Flux was asked to look at the source, for the run that a value of `rungate.dev/runAt` asks for. */
export interface Look {
  readonly runAt: string;
  /** Which request Flux had met before. */
  readonly handledBefore: string | undefined;
  /** How long it is waited for; by now, where it could not be asked. */
  readonly untilMs: number;
}

/** A run to create. */
export interface Order {
  readonly event: TriggerEvent;
  readonly sequence: number;
  readonly attempt: number;
  /** Somebody asked for it: nothing new has happened. */
  readonly byHand: boolean;
  /** Of the request that asked for it, which finds it by that. */
  readonly eventId?: string;
  readonly credential?: { readonly serviceAccountName?: string; readonly secretName?: string };
}

/** What to do. `orders` count only once the status is what `status` says. */
export interface Decision {
  readonly status: PipelineTrigger['status'];
  readonly orders: readonly Order[];
  /** Flux is to look at the source before anything is run by hand. Counts as the orders do. */
  readonly asksFlux: boolean;
  /** Stored events, by their keys, that have had their run or get none. Counts as the orders do. */
  readonly done: readonly string[];
  /** What a person should hear of. */
  readonly warning?: string;
  readonly series: readonly ConditionSeries[];
  /** When to look again although nothing has changed. */
  readonly againMs?: number;
}
