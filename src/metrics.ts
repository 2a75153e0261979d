/** Every series by what it counts; handed in like the log. `main` makes the real ones, tests use `silentMetrics`. */

/** What an API server was asked to do. */
export type UpstreamVerb = 'get' | 'list' | 'watch' | 'log' | 'create' | 'patch' | 'update' | 'delete';

/** The name of a PipelineTrigger. */
export interface TriggerName {
  readonly namespace: string;
  readonly name: string;
}

/** Where one line of a PipelineTrigger's events stands: its source's, or that of a branch of its PullRequest. */
export interface TriggerLine {
  readonly sourceKind: string;
  /** The branch, or the name of the image. */
  readonly repo: string;
  /** As of its condition. */
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
}

/** Why a run was created: something new, one before it that failed, or somebody who asked for it. */
export type RunCause = 'event' | 'retry' | 'hand';

/** What a hook belongs to; `none` where no hook was found, or looked for. */
export type HookKind = 'PipelineTrigger' | 'EventListener' | 'none';

/** What rooms say about themselves in numbers. */
export interface Metrics {
  /** One HTTP answer is over. `route` is the pattern, never the path. */
  request(route: string, method: string, status: number, seconds: number): void;
  /** One log stream began; call the returned function once, when it ends. */
  stream(): (outcome: 'complete' | 'incomplete' | 'interrupted' | 'disconnected' | 'dropped') => void;
  /** Log bytes handed to clients. */
  logBytes(count: number): void;
  /** One call to the API server was answered; `code` is the HTTP status, or `error` without one. */
  upstream(verb: UpstreamVerb, code: string): void;
  /** A controller has brought one object to where it should be, or failed to: `outcome` is `done`, `aborted` or the code of the Fault. */
  reconcile(controller: string, outcome: string, seconds: number): void;
  /**
   * Where a PipelineTrigger stands now, in the series that Pipeline Trigger Operator has: what was said of it before is no
   * longer shown. Of more than 200 lines the first are shown, and of two with the same `repo` the last.
   */
  triggerCondition(trigger: TriggerName, lines: readonly TriggerLine[]): void;
  /** A PipelineTrigger is gone, or not looked after here any more: none of its series is shown. */
  triggerGone(trigger: TriggerName): void;
  /** A run was created for a PipelineTrigger. */
  runCreated(cause: RunCause): void;
  /** A run was deleted because its PipelineTrigger keeps no more. */
  runDeleted(): void;
  /** A delivery came to a trigger of a hook, or to none: `outcome` is what became of it there, or the code of its refusal. */
  hookDelivery(kind: HookKind, outcome: string): void;
  /** Whether this process may start runs now. */
  leading(held: boolean): void;
  /**
   * A watch has begun; `heardAtMs` tells when it last heard something (an event, a bookmark, a list), at first when it began. The series
   * is the age of that, of the watch of the resource that has heard nothing for longest. Returns what ends it.
   */
  watching(resource: string, heardAtMs: () => number): () => void;
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
  reconcile() {},
  triggerCondition() {},
  triggerGone() {},
  runCreated() {},
  runDeleted() {},
  hookDelivery() {},
  leading() {},
  watching: () => () => {},
  relist() {},
  resume() {},
  limited() {},
  level() {},
  reload() {},
};
