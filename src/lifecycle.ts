/** The life of the process as a list: started downwards, stopped upwards. */

/** One thing that starts and stops. Each part may rely on every part above it in the list. */
export interface Part {
  readonly name: string;
  /** Resolves when the parts below may rely on it; rejects when the process should not go on. */
  start(): Promise<void>;
  /** Ends everything `start` began. `signal` aborts when the deadline has passed or a person hurries: let go at once then. */
  stop(signal: AbortSignal): Promise<void>;
}
