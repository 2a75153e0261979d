/** What Tekton refuses of steps, and what a step template gives them. */
import { dnsLabel } from '../../../core/formats.ts';
import { goDurationNanoseconds } from '../../../schema/formats.ts';
import type { ContainerFields, EnvVar, Step, VolumeMount } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import { checkConditions } from './params.ts';
import { checkReference } from './references.ts';
import { checkResult, type DeclaredResult } from './results.ts';
import { checkKnown, type Place, placesOf } from './variables.ts';

/** A step as people write it. */
export type StepAsWritten = Omit<Step, 'results'> & {
  readonly results?: readonly DeclaredResult[];
  readonly volumeDevices?: readonly { readonly name: string; readonly devicePath: string }[];
};

/** The steps with what the step template gives them; it gives nothing to those that refer to a StepAction. */
export function stepsOf({
  steps = [],
  stepTemplate,
}: {
  readonly steps?: readonly StepAsWritten[];
  readonly stepTemplate?: ContainerFields;
}): readonly StepAsWritten[] {
  if (stepTemplate === undefined) return steps;
  return steps.map((step) => (step.ref === undefined ? { ...step, ...withTemplate(step, stepTemplate) } : step));
}

/** One step. `isTwice`: an earlier one has its name. */
export function checkStep(step: StepAsWritten, isTwice: boolean, path: string, say: Complaints): void {
  if (step.timeout !== undefined && (goDurationNanoseconds(step.timeout) ?? 0) < 0) {
    // Tekton says nothing else of such a step.
    say.invalid(step.timeout, at(path, 'negative timeout'));
    return;
  }
  const { name = '', script = '', command = [], onError = '' } = step;
  if (isStepArtifactUsed(step)) say.needsFlag('enable-artifacts', 'use artifacts feature.', path);
  if (step.ref === undefined) {
    if ((step.params ?? []).length > 0) say.say('params cannot be used without Ref', at(path, 'params'));
    if ((step.image ?? '') === '') say.missing(at(path, 'Image'));
    if (script !== '' && command.length > 0) say.say('script cannot be used with command', at(path, 'script'));
  } else {
    checkReference(step.ref, path, say);
    for (const [field, words] of ownedByRef) {
      if (isGiven(step[field])) say.say(`${words} cannot be used with Ref`, at(path, field));
    }
  }
  if (isTwice) say.both(at(path, 'name'));
  if (name !== '' && dnsLabel(name).length > 0) {
    say.say(
      `invalid value ${JSON.stringify(name)}`,
      at(path, 'name'),
      'Task step name must be a valid DNS Label, For more info refer to https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names',
    );
  }
  for (const [index, mount] of (step.volumeMounts ?? []).entries()) {
    checkMount(mount, at(path, 'volumeMounts', index), say);
  }
  if (onError !== '' && !onError.startsWith('$(params') && onError !== 'continue' && onError !== 'stopAndFail') {
    say.invalid(
      JSON.stringify(onError),
      at(path, 'onError'),
      'Task step onError must be either "continue" or "stopAndFail"',
    );
  }
  if (script.trimStart().startsWith('#!win')) say.needsAlpha('windows script support');
  if (step.stdoutConfig !== undefined) say.needsAlpha('step stdout stream support');
  if (step.stderrConfig !== undefined) say.needsAlpha('step stderr stream support');
  checkConditions(step.when ?? [], path, say);
  checkStepReferences(step, path, say);
}

const ownedByRef = [
  ['image', 'image'],
  ['command', 'command'],
  ['args', 'args'],
  ['script', 'script'],
  ['workingDir', 'working dir'],
  ['env', 'env'],
  ['volumeMounts', 'volumeMounts'],
  ['results', 'results'],
] as const;

function isGiven(value: string | readonly unknown[] | undefined): boolean {
  return value !== undefined && value.length > 0;
}

function checkMount({ name, mountPath }: VolumeMount, path: string, say: Complaints): void {
  if (mountPath.startsWith('/tekton/') && !mountPath.startsWith('/tekton/home')) {
    say.say(
      `volumeMount cannot be mounted under /tekton/ (volumeMount ${JSON.stringify(name)} mounted at ${JSON.stringify(mountPath)})`,
      at(path, 'mountPath'),
    );
  }
  if (name.startsWith('tekton-internal-')) {
    say.say(`volumeMount name ${JSON.stringify(name)} cannot start with "tekton-internal-"`, at(path, 'name'));
  }
}

/** Results and artifacts of earlier steps may stand in some fields only. */
function checkStepReferences(step: StepAsWritten, path: string, say: Complaints): void {
  const fixed: readonly (readonly [string | undefined, string])[] = [
    [step.name, 'name'],
    [step.image, 'image'],
    [step.imagePullPolicy, 'imagePullPolicy'],
    [step.workingDir, 'workingDir'],
    ...(step.envFrom ?? []).flatMap(({ prefix, configMapRef, secretRef }) => [
      [textOf(prefix), 'envFrom.prefix'] as const,
      [JSON.stringify(configMapRef), 'envFrom.configMapRef'] as const,
      [JSON.stringify(secretRef), 'envFrom.secretRef'] as const,
    ]),
    ...(step.volumeMounts ?? []).flatMap(({ name, mountPath, subPath }) => [
      [name, 'volumeMounts.name'] as const,
      [mountPath, 'volumeMounts.mountPath'] as const,
      [subPath, 'volumeMounts.subPath'] as const,
    ]),
    ...(step.volumeDevices ?? []).flatMap(({ name, devicePath }) => [
      [name, 'volumeDevices.name'] as const,
      [devicePath, 'volumeDevices.devicePath'] as const,
    ]),
  ];
  for (const [text = '', field] of [...fixed, [step.script, 'script'] as const]) {
    if (!/\$\(steps\.[^)]*\.results\.[^)]*\)/.test(text)) continue;
    say.say('stepResult substitutions are only allowed in env, command and args. Found usage in', at(path, field));
  }
  for (const [text = '', field] of fixed) {
    if (!stepArtifact.test(text)) continue;
    say.say(
      'stepArtifact substitutions are only allowed in env, command, args and script. Found usage in',
      at(path, field),
    );
  }
}

const stepArtifact = /\$\((?:steps\.[^)]*\.(?:inputs|outputs)(?:\.[^)]*)?|(?:step\.)?artifacts\.path)\)/;
const usedArtifact = /\$\((?:(?:steps|tasks)\.[^)]*\.(?:inputs|outputs)\.[^)]*|(?:step\.)?artifacts\.path)\)/;

function isStepArtifactUsed({ script, args = [], command = [], env = [] }: StepAsWritten): boolean {
  const texts = [script, ...args, ...command, ...env.map(({ value }) => value)];
  return texts.some((text) => text !== undefined && usedArtifact.test(text));
}

/** The results of the step at `index`. */
export function checkStepResults(
  results: readonly DeclaredResult[],
  script: string | undefined,
  path: string,
  index: number,
  say: Complaints,
): void {
  const names = new Set(results.map(({ name }) => name));
  checkKnown(script, { prefix: 'step.results', names }, at(path, 'steps', index, 'script'), say);
  checkKnown(script, { prefix: 'results', names }, at(path, 'steps', index, 'script'), say);
  for (const [place, result] of results.entries()) checkResult(result, at(path, 'steps.results', index, place), say);
}

/** A text of a step; in some of them a list may stand for several. */
export type StepPlace = Place & { readonly allowsLists: boolean };

/** The texts in which a step may use variables. Tekton spells the fields of mounts one way here and another there. */
export function placesIn(
  step: StepAsWritten,
  path: string,
  mountPathWord = 'MountPath',
  subPathWord = 'SubPath',
): StepPlace[] {
  const single = (field: 'name' | 'image' | 'workingDir' | 'script' | 'onError'): StepPlace => ({
    text: step[field],
    path: at(path, field),
    allowsLists: false,
  });
  return [
    single('name'),
    single('image'),
    single('workingDir'),
    single('script'),
    single('onError'),
    ...placesOf(step.command, path, 'command').map((place) => ({ ...place, allowsLists: true })),
    ...placesOf(step.args, path, 'args').map((place) => ({ ...place, allowsLists: true })),
    ...envPlaces(step.env, path).map((place) => ({ ...place, allowsLists: false })),
    ...(step.volumeMounts ?? []).flatMap(({ name, mountPath, subPath }, index) => {
      const here = at(path, 'volumeMount', index);
      return [
        { text: name, path: at(here, 'name'), allowsLists: false },
        { text: mountPath, path: at(here, mountPathWord), allowsLists: false },
        { text: subPath, path: at(here, subPathWord), allowsLists: false },
      ];
    }),
  ];
}

/** The values of variables of the environment. */
export function envPlaces(env: readonly EnvVar[] | undefined, path: string): Place[] {
  return (env ?? []).map(({ name, value }) => ({ text: value, path: at(path, 'env', { key: name }) }));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What a step has of its own wins; lists of named things are joined. */
function withTemplate(step: StepAsWritten, template: ContainerFields): ContainerFields {
  const { image, command, args, workingDir } = template;
  const own = <Value extends string | readonly string[]>(value: Value | undefined, theirs: Value | undefined) => {
    const chosen = value === undefined || value.length === 0 ? theirs : value;
    return chosen;
  };
  return {
    ...keep('image', own(step.image, image)),
    ...keep('command', own(step.command, command)),
    ...keep('args', own(step.args, args)),
    ...keep('workingDir', own(step.workingDir, workingDir)),
    ...keep(
      'env',
      joined(step.env, template.env, ({ name }) => name),
    ),
    ...keep(
      'volumeMounts',
      joined(step.volumeMounts, template.volumeMounts, ({ mountPath }) => mountPath),
    ),
  };
}

function joined<Item>(
  own: readonly Item[] | undefined,
  theirs: readonly Item[] | undefined,
  keyOf: (item: Item) => string,
): readonly Item[] | undefined {
  if (theirs === undefined) return own;
  const keys = new Set((own ?? []).map(keyOf));
  return [...(own ?? []), ...theirs.filter((item) => !keys.has(keyOf(item)))];
}

function keep<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [n in Name]?: Value } {
  // The compiler does not see that a computed key is the type's key.
  return value === undefined ? {} : ({ [name]: value } as { readonly [n in Name]: Value });
}
