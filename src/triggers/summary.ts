/**
 * What we keep of a PipelineTrigger to tell callers of it: where it stands, not what it runs. Templates, parameters and the
 * details of pull requests stay behind, because whoever may look at runs need not know them. Pure, and never throws.
 */
import {
  type Condition,
  type Json,
  type JsonObject,
  type Kept,
  numberOf,
  objectOf,
  present,
  projectConditions,
  projectMeta,
  shared,
  stringOf,
} from '../kube/objects.ts';
import { INTENDED_RUN } from './names.ts';

/** How the last event of a line ended, where a controller wrote that down. */
export interface SummaryOutcome {
  readonly status: string;
  readonly message: string;
}

/** What is known of one line of events: that of the source, or of one branch of a PullRequest. */
export interface SummaryLine {
  readonly condition?: Condition;
  /** The last event, as the source has it. */
  readonly latestEvent?: string;
  /** The run of that event; absent while there is none yet. */
  readonly latestPipelineRun?: string;
  /** Runs of that event which were given up before the current one. */
  readonly retriesUsed: number;
  readonly outcome?: SummaryOutcome;
}

/** One branch of a PullRequest. */
export interface SummaryBranch extends SummaryLine {
  readonly name: string;
}

/** A PipelineTrigger, projected for callers. */
export interface TriggerSummary extends Kept, SummaryLine {
  readonly generation: number;
  /** The generation that its status speaks of; absent where nobody says. */
  readonly observedGeneration?: number;
  readonly source: { readonly kind: string; readonly name: string };
  /** What it runs for: what its source reports, its failures, or what is posted to its hook. */
  readonly runsFor: 'news' | 'failures' | 'posts';
  /** The Pipeline that its runs are of, where the template names one. */
  readonly pipeline?: string;
  readonly suspended: boolean;
  /** How many runs may follow the first of an event when that fails; absent: none. */
  readonly retries?: number;
  /** Of a PullRequest, by name. */
  readonly branches?: readonly SummaryBranch[];
  /** How many branches there are beside those, where there are too many to keep. */
  readonly branchesLeftOut: number;
}

/** Longer texts are cut: an object may hold a megabyte of them. */
const LONGEST_TEXT = 1_000;
/** More are counted, not kept. */
const MOST_BRANCHES = 100;

/** Keeps of a PipelineTrigger what callers are told. Shapes of all releases are read; what is malformed reads as absent. */
export function projectTriggerSummary(raw: JsonObject): TriggerSummary {
  const spec = objectOf(raw.spec);
  const status = objectOf(raw.status);
  const source = objectOf(spec.source);
  const kind = textOf(source.kind) ?? '';
  // The block of another kind stays behind where a source was changed under the original.
  const block = objectOf(kind === 'ImagePolicy' ? status.imagePolicy : status.gitRepository);
  const condition = currentCondition(projectConditions(raw)) ?? currentCondition(conditionsIn(block));
  const branches = kind === 'PullRequest' ? branchesIn(status) : undefined;
  return {
    meta: projectMeta(raw),
    generation: numberOf(objectOf(raw.metadata).generation) ?? 0,
    source: { kind: shared(kind), name: textOf(source.name) ?? '' },
    suspended: spec.suspend === true,
    runsFor: runsForOf(objectOf(spec.hook)),
    retriesUsed: countOf(status.attempt) ?? countOf(status.currentPipelineRetry) ?? 0,
    branchesLeftOut: Math.max(0, (branches?.length ?? 0) - MOST_BRANCHES),
    ...present({
      observedGeneration: numberOf(status.observedGeneration),
      pipeline: textOf(pipelineOf(spec)),
      retries: retriesOf(objectOf(spec.pipeline)),
      condition,
      latestEvent: textOf(status.latestEvent) ?? eventOf(block),
      latestPipelineRun: runOf(status.latestPipelineRun) ?? runOf(block.latestPipelineRun),
      outcome: outcomeOf(status.outcome),
      branches: branches?.slice(0, MOST_BRANCHES),
    }),
  };
}

function runsForOf({ on, mode, trustEvents }: JsonObject): TriggerSummary['runsFor'] {
  if (mode === 'events' || trustEvents === true) return 'posts';
  return on === 'Failure' ? 'failures' : 'news';
}

function branchesIn(status: JsonObject): readonly SummaryBranch[] {
  return Object.entries(objectOf(objectOf(status.branches).branch))
    .map(([name, value]) => {
      const entry = objectOf(value);
      return {
        name: cut(name),
        retriesUsed: countOf(entry.attempt) ?? 0,
        ...present({
          condition: currentCondition(conditionsIn(entry)),
          latestEvent: textOf(entry.commit),
          latestPipelineRun: runOf(entry.latestPipelineRun),
          outcome: outcomeOf(entry.outcome),
        }),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The conditions of a block, which lie one level less deep than those of an object. */
function conditionsIn(block: JsonObject): readonly Condition[] {
  return projectConditions({ status: block });
}

/**
 * The condition that holds. There is one; only the later releases of the original let old ones lie: theirs is the one that
 * moved last, and of those that moved together the last.
 */
function currentCondition(conditions: readonly Condition[]): Condition | undefined {
  const timeOf = (condition: Condition) => condition.lastTransitionTime ?? '';
  let current: Condition | undefined;
  for (const each of conditions) if (current === undefined || timeOf(each) >= timeOf(current)) current = each;
  if (current === undefined) return undefined;
  const { type, status, reason, message, lastTransitionTime } = current;
  return {
    type: shared(cut(type)),
    status: status === 'True' || status === 'False' ? status : 'Unknown',
    reason: shared(cut(reason)),
    message: cut(message),
    ...present({ lastTransitionTime }),
  };
}

/** What the later releases of the original wrote in place of the event itself. */
function eventOf(block: JsonObject): string | undefined {
  const { branchName, commitId, repositoryName, imageName, imageVersion } = block;
  const [branch, commit] = [stringOf(branchName) ?? '', stringOf(commitId)];
  if (commit !== undefined) return cut(branch === '' ? commit : `${branch}@${commit}`);
  const image = [repositoryName, imageName].flatMap((part) => stringOf(part) ?? []).join('/');
  const tag = stringOf(imageVersion);
  return image === '' || tag === undefined ? undefined : cut(`${image}:${tag}`);
}

function runOf(value: Json | undefined): string | undefined {
  const name = textOf(value);
  return name === INTENDED_RUN ? undefined : name;
}

function outcomeOf(value: Json | undefined): SummaryOutcome | undefined {
  const { status, message } = objectOf(value);
  return typeof status === 'string' ? { status, message: textOf(message) ?? '' } : undefined;
}

function pipelineOf({ pipeline, pipelineRun, pipelineRunSpec }: JsonObject): Json | undefined {
  if (pipeline !== undefined) return objectOf(pipeline).name;
  const spec = pipelineRun === undefined ? objectOf(pipelineRunSpec) : objectOf(objectOf(pipelineRun).spec);
  return objectOf(spec.pipelineRef).name;
}

/** `maxFailedRetries` counts the first run too. */
function retriesOf({ retries, maxFailedRetries }: JsonObject): number | undefined {
  const inAll = countOf(maxFailedRetries);
  return countOf(retries) ?? (inAll === undefined ? undefined : Math.max(0, inAll - 1));
}

function countOf(value: Json | undefined): number | undefined {
  const number = numberOf(value);
  return number !== undefined && Number.isInteger(number) && number >= 0 ? number : undefined;
}

function textOf(value: Json | undefined): string | undefined {
  const text = stringOf(value);
  return text === undefined ? undefined : cut(text);
}

function cut(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT).toWellFormed()}...` : text;
}
