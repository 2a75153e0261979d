/** A program that a container runs, whether it really runs or is only played. */
import type { Stream } from './logfile.ts';

/** What to run, and within which bounds. Paths are paths of this machine. */
export interface ProcessPlan {
  readonly program: string;
  readonly args: readonly string[];
  /** The whole environment: nothing is added to it. */
  readonly env: { readonly [name: string]: string };
  readonly folder: string;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly activeMs: number;
  /** Called in the order in which the program wrote, and not again after `ended` has resolved. */
  onOutput(stream: Stream, chunk: Buffer): void;
}

/** How it ended. `code` is there unless a signal ended it. */
export interface ProcessEnd {
  readonly code: number | undefined;
  readonly signal: number | undefined;
  /** The bound it broke, if it was stopped for that. */
  readonly broke: 'memory' | 'output' | 'time' | undefined;
  /** One of the processes it had started was ended because together they used too much memory. */
  readonly starved: boolean;
}

/** A program on its way. */
export interface RunningProcess {
  /** Resolves when nothing of it is left and all its output has been handed on; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Asks it to end: its first process alone, or all that it has started. Nothing happens once it has ended. */
  terminate(whom: 'first' | 'all'): void;
  /** Ends it and all that it has started. Nothing happens once it has ended. */
  kill(): void;
}

/** Starts a program. Rejects with an Error when the machine does not start it. */
export type StartProcess = (plan: ProcessPlan) => Promise<RunningProcess>;
