/** What is said on the stream of a run's log, and what turns it into bytes of one format. */
import type { LineBatch } from '../kube/lines.ts';
import type { Phase, RunCondition } from './types.ts';

/** Where lines come from. */
export interface LogSource {
  /** Name of the pipeline task: all of its instances share a colour. */
  readonly task: string;
  /** What tells this TaskRun's lines from all others of the run: `test`, `test-3`, `deploy/test`. */
  readonly prefix: string;
  /** The name that the pipeline's author gave the task for people. */
  readonly displayName?: string;
  readonly taskRun: string;
  /** From 1. */
  readonly attempt: number;
  /** Without `step-`; a sidecar's or an init container's whole name. */
  readonly step: string;
  readonly pod: string;
  readonly container: string;
}

/**
 * One thing that is said. Names and reasons of the cluster in it are as they came: each shaper escapes as its format
 * needs. Sentences (and `awaiting`) are made for people already: one line, without control characters.
 */
export type LogEvent =
  /** Lines of one container. `cursor(at)`: where to go on after line `at` of the batch; undefined where nobody can. */
  | {
      readonly type: 'log';
      readonly source: LogSource;
      readonly batch: LineBatch;
      readonly cursor?: (at: number) => string | undefined;
    }
  /** A container that had lines will have no more, or another one speaks now. */
  | { readonly type: 'blank'; readonly source: LogSource }
  /** A sentence for people. */
  | {
      readonly type: 'notice';
      readonly level: 'problem' | 'info';
      readonly sentence: string;
      readonly source?: LogSource;
    }
  /** Lines of this container may be missing here. */
  | { readonly type: 'gap'; readonly source: LogSource; readonly sentence: string }
  /** A container began or ended. */
  | {
      readonly type: 'step';
      readonly source: LogSource;
      readonly state: 'running' | 'terminated';
      readonly exitCode?: number;
      readonly reason?: string;
    }
  /** An attempt of a TaskRun began to be shown, or was shown to its end. Times: RFC 3339. */
  | {
      readonly type: 'task';
      readonly task: string;
      readonly prefix: string;
      readonly displayName?: string;
      readonly taskRun: string;
      readonly attempt: number;
      readonly state: 'begun' | 'over';
      readonly phase?: string;
      readonly at: string;
    }
  /** Nothing was said for a while; `awaiting`: what is waited for. */
  | { readonly type: 'heartbeat'; readonly awaiting: string }
  /** The last thing that is said. `complete`: every line that was asked for was delivered. */
  | {
      readonly type: 'end';
      readonly condition: RunCondition;
      readonly phase: Phase | 'deleted';
      readonly complete: boolean;
      /** Why it ends before the run does: the client should come back with the cursor. */
      readonly retry: boolean;
      readonly cursor?: string;
    };

/** Turns what is said into bytes for one client; may remember what it has said, so keep one per stream. */
export interface LogShaper {
  /** Of the `Content-Type` header. */
  readonly contentType: string;
  /**
   * Every event stands by itself, even a fragment of a line. False: fragments of a line are written one after another, so
   * nothing may be said between them but what belongs to them.
   */
  readonly framed: boolean;
  /** The bytes of `event`: none where the format does not show it. */
  shape(event: LogEvent): Buffer;
  /**
   * What really goes out instead of shaped bytes, called with all of them at the moment and in the order in which they go:
   * that may be long after they were shaped, where a task has to wait for its turn. Formats without it change nothing.
   */
  outgoing?(bytes: Buffer): Buffer;
}
