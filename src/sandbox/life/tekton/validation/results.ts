/** What Tekton refuses of the results that Tasks, steps and StepActions declare. */
import { dnsLabel } from '../../../core/formats.ts';
import { variablesIn } from '../substitute.ts';
import type { ParamValue, ResultSpec } from '../types.ts';
import { at, type Complaints } from './complaints.ts';
import { mistypedKeys, typeOf } from './params.ts';

/** A declared result as people write it: with a type that may be none, and a value of any shape. */
export type DeclaredResult = Omit<ResultSpec, 'type' | 'value'> & {
  readonly type?: string;
  readonly value?: ParamValue;
};

const resultName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const resultNameRule =
  "must consist of alphanumeric characters, '-', '_', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my-name',  or 'my_name', regex used for validation is '^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$')";

/** One declared result: its name, its type, and the value it may take from a step. */
export function checkResult(result: DeclaredResult, path: string, say: Complaints): void {
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
