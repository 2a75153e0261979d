/** Every series by what it counts; handed in like the log. `main` makes the real ones, tests use `silentMetrics`. */

/** What rooms say about themselves in numbers. */
export interface Metrics {
  /** One HTTP answer is over. `route` is the pattern, never the path. */
  request(route: string, method: string, status: number, seconds: number): void;
  /** One log stream began; call the returned function once, when it ends. */
  stream(): (outcome: 'complete' | 'incomplete' | 'interrupted' | 'disconnected' | 'dropped') => void;
  /** Log bytes handed to clients. */
  logBytes(count: number): void;
  /** One call to the API server was answered; `code` is the HTTP status, or `error` without one. */
  upstream(verb: 'get' | 'list' | 'watch' | 'log', code: string): void;
  /** A watch heard something (an event, a bookmark, a list) at `atMs`; the series is the age of that. */
  watchHeard(resource: string, atMs: number): void;
  /** A watch had to list again. */
  relist(resource: string, reason: string): void;
  /** A log had to be resumed. */
  resume(reason: string): void;
  /** A request was refused because a limit is used up; `limit` is the name of its setting, or what is limited where none is. */
  limited(limit: string): void;
  /** How many of `what` there are now; `read` is called whenever somebody looks. The latest one for a name counts. */
  level(what: string, read: () => number): void;
  /** A file that a setting names was read again because it changed; what is wrong with a version leaves the one before in use. */
  reload(setting: string, outcome: 'taken' | 'refused'): void;
}

/** Counts nothing. */
export const silentMetrics: Metrics = {
  request() {},
  stream: () => () => {},
  logBytes() {},
  upstream() {},
  watchHeard() {},
  relist() {},
  resume() {},
  limited() {},
  level() {},
  reload() {},
};
