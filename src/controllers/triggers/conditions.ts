/** What a trigger's conditions say, in the words and the form of the release that its spec is of. Pure. */
import { SOURCE_RESOURCES } from '../../flux/project.ts';
import type { Source, SourceKind } from '../../flux/types.ts';
import { phaseOf } from '../../tekton/phase.ts';
import type { PipelineRun } from '../../tekton/types.ts';
import { isOfFirstReleases, type TriggerSpec } from './resource.ts';
import type { Line, Said, WrittenLine } from './status.ts';

/** Why a source cannot be looked at. `unknown`: it has not been asked about yet. */
export interface SourceTrouble {
  readonly trouble: 'missing' | 'unserved' | 'unreadable' | 'unknown';
  readonly message: string;
}

/** That there is no such source, as the API server words it. */
export function missingSource(kind: SourceKind, name: string): SourceTrouble {
  const { resource, group } = SOURCE_RESOURCES[kind];
  return { trouble: 'missing', message: `${resource}.${group} "${name}" not found` };
}

/** One series of `pipelinetrigger_reconcile_condition`. */
export interface ConditionSeries {
  readonly sourceKind: string;
  readonly repo: string;
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
}

/** What keeps an intended run from being created. */
export interface Hindrance {
  readonly message: string;
  /** `Unknown`: it is waited for. `Error`: somebody has to do something. */
  readonly type: 'Unknown' | 'Error';
  readonly untilMs?: number;
}

/** What is said of a line whose run is not created for that reason. */
export function hindered({ type, message }: Hindrance, spec: TriggerSpec): Said {
  if (type === 'Unknown') return { type, status: 'Unknown', reason: 'Unknown', message };
  return { type, status: isOfFirstReleases(spec) ? 'True' : 'False', reason: 'Failed', message };
}

/** What is said of a line with nothing in its way. `known`: its run, as far as that is known. */
export function saidOf(
  { run, outcome, attempt }: Line,
  spec: TriggerSpec,
  known: PipelineRun | 'gone' | undefined,
): Said {
  const first = isOfFirstReleases(spec);
  if (outcome !== undefined) {
    if (outcome.status === 'True') {
      const message = first ? outcome.message : 'Reconciliation is successful.';
      return { type: 'Success', status: 'True', reason: 'Succeded', message };
    }
    if (outcome.status === 'Unknown') {
      return { type: 'Unknown', status: 'Unknown', reason: 'Unknown', message: outcome.message };
    }
    return first
      ? { type: 'Error', status: 'False', reason: 'Failed', message: outcome.message }
      : { type: 'Success', status: 'False', reason: outcome.reason || 'Failed', message: outcome.message };
  }
  if (!first && known !== undefined && known !== 'gone' && phaseOf(known.succeeded) !== 'pending') {
    return { type: 'InProgress', status: 'Unknown', reason: 'InProgress', message: 'Progressing' };
  }
  const again = attempt > 0 ? `, attempt ${attempt + 1} of ${spec.retries + 1}` : '';
  const message = run === undefined ? 'a run is being created' : `run ${run} goes on${again}`;
  return { type: 'Unknown', status: 'Unknown', reason: 'Unknown', message: first ? message : 'Unknown' };
}

/** What is said of a trigger that is to be left alone. */
export const SUSPENDED = 'suspended: spec.suspend is true';

/** What is to be said of the source before anything else; undefined: nothing. */
export function saidOfSource(
  source: Source | SourceTrouble,
  lines: readonly WrittenLine[],
  spec: TriggerSpec,
): Said | undefined {
  const { hook } = spec;
  const { kind, name } = spec.source;
  const unknown = (message: string): Said => ({ type: 'Unknown', status: 'Unknown', reason: 'Unknown', message });
  if (hook.trustsEvents) {
    if ('trouble' in source && source.trouble === 'unreadable')
      return hindered({ type: 'Error', message: source.message }, spec);
    if (lines.length > 0) return undefined;
    return unknown(spec.suspend ? SUSPENDED : `waiting for an event of ${kind} ${name} to be posted to its hook`);
  }
  if ('trouble' in source) {
    switch (source.trouble) {
      case 'missing':
      case 'unserved':
        return hindered({ type: 'Error', message: source.message }, spec);
      case 'unreadable':
        return unknown(source.message);
      case 'unknown':
        return lines.length === 0 ? unknown(`looking for ${kind} ${name}`) : undefined;
    }
  }
  if (lines.length > 0) return undefined;
  if (spec.suspend) return unknown(SUSPENDED);
  if (source.suspended) return unknown(`waiting for ${kind} ${name}, which is suspended`);
  if (source.branches?.length === 0) return unknown(`${kind} ${name} has no branches`);
  if (hook.on === 'Failure') return unknown(`waiting for ${kind} ${name} to fail`);
  if (hook.mode === 'events') return unknown(`waiting for an event of ${kind} ${name} to be posted to its hook`);
  return unknown(`waiting for ${kind} ${name} to report a revision`);
}

/** The worst that is said of any line: one line is its own sum. */
export function sumOf(lines: readonly WrittenLine[]): Said {
  const weight = ({ said }: WrittenLine) =>
    ['Error', 'InProgress', 'Unknown', 'Success'].indexOf(said.type) * 2 + (said.status === 'True' ? 1 : 0);
  const [worst] = [...lines].sort((a, b) => weight(a) - weight(b));
  if (worst === undefined) return { type: 'Unknown', status: 'Unknown', reason: 'Unknown', message: 'Unknown' };
  if (worst.name === '' || worst.said.type === 'Unknown') return worst.said;
  return { ...worst.said, message: `branch ${worst.name}: ${worst.said.message}` };
}

/** What the gauge shows of the lines; of a trigger without any, what is said of it. */
export function seriesOf(lines: readonly WrittenLine[], said: Said, spec: TriggerSpec): ConditionSeries[] {
  const { kind, name } = spec.source;
  if (lines.length === 0) return [{ sourceKind: kind, repo: name, type: said.type, status: said.status }];
  return lines.map(({ name: branch, shown, said: own }) => ({
    sourceKind: kind,
    repo: branch || (shown === undefined ? name : shown.as === 'image' ? shown.imageName : shown.branchName) || name,
    type: own.type,
    status: own.status,
  }));
}
