/** What Tekton's webhook refuses of Tasks, of steps and of StepActions. */
import { posix } from 'node:path';
import { dnsLabel, qualifiedName } from '../../core/formats.ts';
import { variablesIn } from '../../life/tekton/substitute.ts';
import type {
  ContainerFields,
  EnvVar,
  Param,
  ParamValue,
  Reference,
  ResultSpec,
  Sidecar,
  Step,
  TaskSpec,
  VolumeMount,
} from '../../life/tekton/types.ts';
import { goDurationNanoseconds } from '../../schema/formats.ts';
import { at, type Complaints } from './complaints.ts';
import {
  checkConditions,
  checkDeclarations,
  checkGivenOnce,
  checkNames,
  checkProperties,
  checkTypes,
  type DeclaredParam,
  declaredBy,
  mistypedKeys,
  typeOf,
} from './params.ts';
import { checkIsolated, checkKnown, checkNoList, checkNoWhole, type Place, placesOf } from './variables.ts';

/** A declared result as people write it: with a type that may be none, and a value of any shape. */
type DeclaredResult = Omit<ResultSpec, 'type' | 'value'> & { readonly type?: string; readonly value?: ParamValue };

/** A step as people write it. */
type StepAsWritten = Omit<Step, 'results'> & {
  readonly results?: readonly DeclaredResult[];
  readonly volumeDevices?: readonly { readonly name: string; readonly devicePath: string }[];
};

/** A Task's spec as people write it. */
export type TaskSpecAsWritten = Omit<TaskSpec, 'params' | 'results' | 'steps'> & {
  readonly params?: readonly DeclaredParam[];
  readonly results?: readonly DeclaredResult[];
  readonly steps?: readonly StepAsWritten[];
};

/** A StepAction's spec as people write it. */
export type StepActionSpec = Omit<StepAsWritten, 'params'> & { readonly params?: readonly DeclaredParam[] };

/** A Task on its own: everything that it uses is declared in it. */
export function checkTask(spec: TaskSpecAsWritten, path: string, say: Complaints): void {
  checkTaskSpec(spec, path, say);
  checkParamsUsed(stepsOf(spec), spec.params ?? [], path, say);
}

/** A Task's spec wherever it stands; what it may use beyond its own parameters is its surroundings' business. */
export function checkTaskSpec(spec: TaskSpecAsWritten, path: string, say: Complaints): void {
  const { params = [], results = [], sidecars = [], volumes = [] } = spec;
  const steps = stepsOf(spec);
  if (steps.length === 0) say.missing(at(path, 'steps'));
  for (const [index, { name }] of volumes.entries()) {
    if (volumes.findIndex((volume) => volume.name === name) < index) {
      say.say(`multiple volumes with same name ${JSON.stringify(name)}`, at(path, 'volumes', index, 'name'));
    }
  }
  checkWorkspaces(spec, path, say);
  for (const [index, step] of steps.entries()) {
    const isTwice = steps.findIndex(({ name }) => name === step.name) < index && (step.name ?? '') !== '';
    checkStep(step, isTwice, at(path, 'steps', index), say);
    if (step.results !== undefined) checkStepResults(step.results, step.script, path, index, say);
  }
  checkSidecars(sidecars, at(path, 'sidecars'), say);
  checkTypes(params, at(path, 'params'), say);
  checkParamVariables(steps, params, path, say);
  const runNames = new Set(['name', 'namespace', 'uid']);
  const taskNames = new Set(['name', 'retry-count']);
  const resultNames = new Set(results.map(({ name }) => name));
  for (const [index, step] of steps.entries()) {
    for (const place of placesIn(step, at(path, 'steps', index))) {
      checkKnown(place.text, { prefix: 'context.taskRun', names: runNames }, place.path, say);
      checkKnown(place.text, { prefix: 'context.task', names: taskNames }, place.path, say);
    }
    checkKnown(step.script, { prefix: 'results', names: resultNames }, at(path, 'steps', index, 'script'), say);
  }
  for (const [index, result] of results.entries()) checkResult(result, at(path, 'results', index), say);
}

/** The steps with what the step template gives them. */
export function stepsOf({ steps = [], stepTemplate }: TaskSpecAsWritten): readonly StepAsWritten[] {
  return stepTemplate === undefined ? steps : steps.map((step) => ({ ...step, ...withTemplate(step, stepTemplate) }));
}

/** Declared once, with names that can be written, and lists only where lists may stand. */
export function checkParamVariables(
  steps: readonly StepAsWritten[],
  params: readonly DeclaredParam[],
  path: string,
  say: Complaints,
): void {
  checkDeclarations(params, path, say);
  checkNames(params, path, say);
  const lists = { prefix: 'params', names: declaredBy(params).lists };
  for (const [index, step] of steps.entries()) {
    for (const place of placesIn(step, at(path, 'steps', index), 'mountPath', 'subPath')) {
      if (place.allowsLists) checkIsolated(place.text, lists, place.path, say);
      else checkNoList(place.text, lists, place.path, say);
    }
  }
}

/** Steps use only parameters that are declared, and objects key by key. */
export function checkParamsUsed(
  steps: readonly StepAsWritten[],
  params: readonly DeclaredParam[],
  path: string,
  say: Complaints,
): void {
  const { names, objects } = declaredBy(params);
  for (const [index, step] of steps.entries()) {
    for (const place of placesIn(step, at(path, 'steps', index))) {
      checkKnown(place.text, { prefix: 'params', names }, place.path, say);
      for (const [name, keys] of objects) {
        checkKnown(place.text, { prefix: `params.${name}`, names: keys }, place.path, say);
      }
      checkNoWhole(place.text, { prefix: 'params', names: new Set(objects.keys()) }, place.path, say);
    }
  }
  checkProperties(params, path, say);
}

/** A StepAction. */
export function checkStepAction(spec: StepActionSpec, path: string, say: Complaints): void {
  const { image = '', script = '', command = [], volumeMounts = [], results = [], params = [] } = spec;
  if (image === '') say.missing(at(path, 'Image'));
  if (script !== '') {
    if (command.length > 0) say.say('script cannot be used with command', at(path, 'script'));
    if (script.trimStart().startsWith('#!win')) say.needsAlpha('windows script support');
    if (script.includes('$(params.')) say.say('param substitution in scripts is not allowed.', at(path, 'script'));
    const names = new Set(results.map(({ name }) => name));
    checkKnown(script, { prefix: 'step.results', names }, at(path, 'script'), say);
    checkKnown(script, { prefix: 'results', names }, at(path, 'script'), say);
  }
  checkTypes(params, at(path, 'params'), say);
  checkDeclarations(params, path, say);
  checkNames(params, path, say);
  checkProperties(params, path, say);
  const { names, lists, objects } = declaredBy(params);
  const places: readonly (Place & { readonly allowsLists: boolean })[] = [
    { text: image, path: at(path, 'image'), allowsLists: false },
    { text: script, path: at(path, 'script'), allowsLists: false },
    ...placesOf(command, path, 'command').map((place) => ({ ...place, allowsLists: true })),
    ...placesOf(spec.args, path, 'args').map((place) => ({ ...place, allowsLists: true })),
    ...envPlaces(spec.env, path).map((place) => ({ ...place, allowsLists: false })),
  ];
  for (const { text, path: here, allowsLists } of places) {
    checkKnown(text, { prefix: 'params', names }, here, say);
    for (const [name, keys] of objects) checkKnown(text, { prefix: `params.${name}`, names: keys }, here, say);
    checkNoWhole(text, { prefix: 'params', names: new Set(objects.keys()) }, here, say);
    const scope = { prefix: 'params', names: lists };
    if (allowsLists) checkIsolated(text, scope, here, say);
    else checkNoList(text, scope, here, say);
  }
  for (const [index, { name }] of volumeMounts.entries()) {
    const here = at(path, 'volumeMounts', index);
    checkKnown(name, { prefix: 'params', names }, here, say);
    if (name !== '' && !/^\$\(params\.[^()]+\)$/.test(name)) {
      say.invalid(name, at(here, 'name'), 'expect the Name to be a single param reference');
    }
  }
  for (const [index, result] of results.entries()) checkResult(result, at(path, 'results', index), say);
}

/** A reference to a Task, a Pipeline or a StepAction: a name, or a resolver with its parameters. */
export function checkReference({ name = '', resolver = '', params }: Reference, path: string, say: Complaints): void {
  const isAddress = /[\w-]+:\/\/*/.test(name);
  if (resolver === '' && params === undefined) {
    if (name === '') say.missing(at(path, 'name'));
    else if (isAddress) {
      conciseSyntax(path, say);
      say.missing(at(path, 'resolver'));
    } else {
      const wrong = qualifiedName(name);
      if (wrong.length > 0) say.invalid(wrong.join(','), at(path, 'name'));
    }
    return;
  }
  if (params !== undefined) {
    if (name !== '') say.both([at(path, 'name'), at(path, 'params')]);
    if (resolver === '') say.missing(at(path, 'resolver'));
    checkGivenOnce(namesOf(params), path, false, say);
  }
  if (resolver !== '' && name !== '') {
    if (isAddress) conciseSyntax(path, say);
    else say.invalid('invalid URI for request', at(path, 'name'));
  }
}

/** Names of parameters. */
export function namesOf(params: readonly Param[] | undefined): string[] {
  return (params ?? []).map(({ name }) => name);
}

function conciseSyntax(path: string, say: Complaints): void {
  say.needsFlag('enable-concise-resolver-syntax', 'use concise resolver syntax', path);
}

function checkStep(step: StepAsWritten, isTwice: boolean, path: string, say: Complaints): void {
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

function checkStepResults(
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

const resultName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const resultNameRule =
  "must consist of alphanumeric characters, '-', '_', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my-name',  or 'my_name', regex used for validation is '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$')";

function checkResult(result: DeclaredResult, path: string, say: Complaints): void {
  const { name, type = '', properties, value } = result;
  if (!resultName.test(name)) {
    say.say(`invalid key name ${JSON.stringify(name)}`, at(path, 'name'), `Name ${resultNameRule}`);
    return;
  }
  if (type === 'object') {
    if (properties === undefined) say.missing(at(path, `${name}.properties`));
    else {
      const mistyped = mistypedKeys(properties);
      if (mistyped.length > 0) {
        say.say(
          `The value type specified for these keys [${mistyped.join(' ')}] is invalid, the type must be string`,
          at(path, `${name}.properties`),
        );
      }
    }
  } else if (type !== '' && type !== 'array' && type !== 'string') {
    say.invalid(type, at(path, 'type'), 'type must be string');
    return;
  }
  if (value !== undefined) checkResultValue(value, name, path, say);
}

/** A result of a Task may be a step's. */
function checkResultValue(value: ParamValue, name: string, path: string, say: Complaints): void {
  if (typeof value !== 'string') {
    say.say(`Invalid Type. Wanted string but got: "${typeOf(value)}"`, at(path, `${name}.type`));
    return;
  }
  const [step, result] = stepResultIn(value) ?? [];
  if (step === undefined || result === undefined) {
    say.say(
      `Could not extract step name and result name. Expected value to look like $(steps.<stepName>.results.<resultName>) but got ${JSON.stringify(value)}`,
      at(path, `${name}.value`),
    );
    return;
  }
  if (dnsLabel(step).length > 0) {
    say.say(
      `invalid extracted step name ${JSON.stringify(step)}`,
      at(path, `${name}.value`),
      'stepName in $(steps.<stepName>.results.<resultName>) must be a valid DNS Label, For more info refer to https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names',
    );
  }
  if (!resultName.test(result)) {
    say.say(
      `invalid extracted result name ${JSON.stringify(result)}`,
      at(path, `${name}.value`),
      `resultName in $(steps.<stepName>.results.<resultName>) ${resultNameRule}`,
    );
  }
}

function stepResultIn(value: string): [string, string] | undefined {
  const [variable = ''] = variablesIn(value);
  const [, step, result] = /^steps\.([^.]+)\.results\.(.+)$/.exec(variable) ?? [];
  return step === undefined || result === undefined ? undefined : [step, result];
}

function checkWorkspaces(spec: TaskSpecAsWritten, path: string, say: Complaints): void {
  const { workspaces = [], steps = [], stepTemplate, sidecars = [] } = spec;
  const mounts = [...steps, ...(stepTemplate === undefined ? [] : [stepTemplate])].flatMap(
    ({ volumeMounts = [] }) => volumeMounts,
  );
  const taken = new Set(mounts.map(({ mountPath }) => cleaned(mountPath)));
  const names = new Set<string>();
  for (const [index, { name, mountPath = '' }] of workspaces.entries()) {
    if (names.has(name)) {
      say.say(`workspace name ${JSON.stringify(name)} must be unique`, at(path, 'workspaces', index, 'name'));
    }
    names.add(name);
    const folder = cleaned(mountPath === '' ? `/workspace/${name}` : mountPath);
    if (taken.has(folder)) {
      say.say(
        `workspace mount path ${JSON.stringify(folder)} must be unique`,
        at(path, 'workspaces', index, 'mountpath'),
      );
    }
    taken.add(folder);
  }
  for (const [field, containers] of [
    ['steps', steps],
    ['sidecars', sidecars],
  ] as const) {
    for (const [index, { workspaces: used = [] }] of containers.entries()) {
      for (const [place, { name }] of used.entries()) {
        if (names.has(name)) continue;
        say.say(`undefined workspace ${JSON.stringify(name)}`, at(path, field, index, 'workspaces', place, 'name'));
      }
    }
  }
}

/** A path as Go's filepath.Clean has it. */
function cleaned(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function checkSidecars(sidecars: readonly Sidecar[], path: string, say: Complaints): void {
  for (const { name, image = '', script = '', command = [] } of sidecars) {
    if (name === 'tekton-log-results') {
      say.say(`Invalid: cannot use reserved sidecar name ${name} `, at(path, 'name'));
    }
    if (image === '') say.missing(at(path, 'image'));
    if (script !== '' && command.length > 0) say.say('script cannot be used with command', at(path, 'script'));
  }
}

/** A text of a step; in some of them a list may stand for several. */
type StepPlace = Place & { readonly allowsLists: boolean };

/** The texts in which a step may use variables. Tekton spells the fields of mounts one way here and another there. */
function placesIn(
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

function envPlaces(env: readonly EnvVar[] | undefined, path: string): Place[] {
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
