/** What a step's entrypoint leaves behind when it ends: the termination message, a list of results of several kinds. */
import { typeOf } from './params.ts';
import { keysList } from './pipelinechecks.ts';
import type { ParamValue, ResultSpec, StepState, TaskRunResult, TaskSpec } from './types.ts';

/** One entry of the message. Types: 1 a Task's result, 3 Tekton's own, 4 a step's result, 5 and 6 artifacts. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly type?: number;
}

export const taskResult = 1;
export const internal = 3;
export const stepResult = 4;

/** The entries of a message, later ones of a key in the place of earlier ones; undefined when it is no such list. */
export function parseMessage(message: string): readonly Entry[] | undefined {
  if (message === '') return [];
  try {
    const parsed: unknown = JSON.parse(message);
    return Array.isArray(parsed) && parsed.every(isEntry) ? lastOfEach(parsed) : undefined;
  } catch {
    return undefined;
  }
}

/** What Tekton's own entries say. */
export interface Ending {
  readonly startedAt?: string;
  /** Only when the step failed and may. */
  readonly exitCode?: number;
  readonly reason?: string;
}

/** Reads Tekton's own entries. */
export function endingOf(entries: readonly Entry[]): Ending {
  const own = (key: string) => entries.find((entry) => entry.key === key)?.value;
  const startedAt = own('StartedAt');
  const exitCode = own('ExitCode');
  const reason = entries.find(({ key, type }) => key === 'Reason' && type === internal)?.value;
  return {
    // Kubernetes keeps whole seconds.
    ...(startedAt === undefined ? {} : { startedAt: startedAt.replace(/\.\d+/, '') }),
    ...(exitCode === undefined ? {} : { exitCode: Number(exitCode) }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** The entries of one type as results. A value that is declared as a text is one, whatever it looks like. */
export function resultsIn(
  entries: readonly Entry[],
  type: typeof taskResult | typeof stepResult,
  declared: readonly ResultSpec[],
): TaskRunResult[] {
  const types = new Map(declared.map((result) => [result.name, result.type]));
  return entries
    .filter((entry) => entry.type === type)
    .map(({ key, value }) => {
      const read = types.get(key) === 'string' ? value : readValue(value);
      return { name: key, type: typeOf(read), value: read };
    });
}

/** The message that is left when Tekton's own entries are taken away. */
export function messageWithoutOwn(entries: readonly Entry[]): string {
  const rest = entries.filter(({ type }) => type !== internal);
  return rest.length === 0 ? '' : JSON.stringify(rest);
}

/** Results of a step that the Task makes its own: `value: $(steps.x.results.y)`. */
export function promoted(results: readonly TaskRunResult[], container: string, spec: TaskSpec): TaskRunResult[] {
  return (spec.results ?? []).flatMap(({ name, value }) => {
    const [, step, result] = /^\$\(steps\.([^.]+)\.results\.([^.)[]+)(?:\[\*\])?\)$/.exec(value ?? '') ?? [];
    if (`step-${step}` !== container) return [];
    return results.filter((one) => one.name === result).map((one) => ({ ...one, name }));
  });
}

/** The results of a run, each once: where it first stood, with what was said last. */
export function eachOnce(results: readonly TaskRunResult[]): TaskRunResult[] {
  return [...new Map(results.map((result) => [result.name, result])).values()];
}

/** Results that are what they were declared as, and Tekton's sentence for those that are not. */
export function checkResults(
  results: readonly TaskRunResult[],
  declared: NonNullable<TaskSpec['results']>,
): { readonly kept: readonly TaskRunResult[]; readonly wrong: string | undefined } {
  const types = new Map(declared.map(({ name, type = 'string' }) => [name, type]));
  const fits = ({ name, type }: TaskRunResult) => (types.get(name) ?? type) === type;
  const kept = results.filter(fits);
  const mistyped = results
    .filter((result) => !fits(result))
    .map(
      ({ name, type }) =>
        ` "${name}": task result is expected to be "${types.get(name)}" type but was initialized to a different type "${type}"`,
    );
  if (mistyped.length > 0) {
    const which = mistyped.sort().join(',');
    return {
      kept,
      wrong: `Provided results don't match declared results; may be invalid JSON or missing result declaration: ${which}`,
    };
  }
  const missing = new Map<string, string[]>();
  for (const { name, properties = {} } of declared) {
    const value = kept.find((result) => result.name === name && result.type === 'object')?.value;
    if (value === undefined) continue;
    const keys = Object.keys(properties).filter((key) => !(key in Object(value)));
    if (keys.length > 0) missing.set(name, [...(missing.get(name) ?? []), ...keys]);
  }
  if (missing.size === 0) return { kept, wrong: undefined };
  return {
    kept,
    wrong: `missing keys for these results which are required in TaskResult's properties ${keysList(missing)}`,
  };
}

/** Why a step ended, in a word. */
export function terminationReason(ending: Ending, ofContainer: string | undefined): StepState['terminationReason'] {
  return ending.reason ?? (ending.exitCode === undefined ? ofContainer : 'Continued');
}

/** JSON lists and objects of texts are lists and objects; everything else is a text. */
function readValue(text: string): ParamValue {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
    if (typeof value === 'string') return value;
    if (isTexts(value)) return value;
  } catch {
    // A bare text is what most results are.
  }
  return text;
}

function isTexts(value: unknown): value is { readonly [key: string]: string } {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false;
  return Object.values(value).every((one) => typeof one === 'string');
}

function isEntry(value: unknown): value is Entry {
  return (
    value !== null && typeof value === 'object' && 'key' in value && 'value' in value && typeof value.value === 'string'
  );
}

function lastOfEach(entries: readonly Entry[]): Entry[] {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}
