/**
 * What Tekton refuses of Tasks and of StepActions. Its webhook asks of what is written, its controller of Tasks once more
 * before it makes their pods.
 */
import { posix } from 'node:path';
import type { Sidecar, TaskSpec } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import {
  checkDeclarations,
  checkNames,
  checkProperties,
  checkTypes,
  type DeclaredParam,
  declaredBy,
} from './params.ts';
import { checkResult, type DeclaredResult } from './results.ts';
import {
  checkStep,
  checkStepResults,
  envPlaces,
  placesIn,
  type StepAsWritten,
  type StepPlace,
  stepsOf,
} from './steps.ts';
import { checkIsolated, checkKnown, checkNoList, checkNoWhole, placesOf } from './variables.ts';

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
  const places: readonly StepPlace[] = [
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
