/** Where the sandbox answers otherwise than the real API server, and why. What is not listed here must not differ. */
import type { Exchange } from './conversation.ts';

/** One case in which it does. */
export interface Difference {
  readonly reason: string;
  /** What the real server answered, turned into what the sandbox does; absent: anything else, an error of the case included. */
  readonly sandbox?: (real: readonly Exchange[]) => readonly Exchange[];
}

/** By `area: title of the case`. */
export const differences: Readonly<Record<string, Difference>> = {};
