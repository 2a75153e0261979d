import assert from 'node:assert/strict';
import { objectIn, objectsIn, textIn } from '../core/reading.ts';
import { tektonCrds } from './tekton.ts';

describe("Tekton's kinds", () => {
  const table = tektonCrds().map(({ metadata, spec }) => {
    const { names, versions } = objectIn(spec);
    const stored = objectsIn(versions).find(({ storage }) => storage === true);
    return {
      name: metadata.name,
      versions: objectsIn(versions).map(({ name }) => name),
      stored: stored?.name,
      shortNames: objectIn(names).shortNames,
      columns: objectsIn(stored?.additionalPrinterColumns).map(({ name }) => textIn(name).toUpperCase()),
    };
  });

  it('have the versions, names and columns of the real ones', () => {
    const runColumns = ['SUCCEEDED', 'REASON', 'STARTTIME', 'COMPLETIONTIME'];
    const kind = (
      name: string,
      versions: readonly string[],
      columns: readonly string[],
      shortNames?: readonly string[],
    ) => ({
      name: `${name}.tekton.dev`,
      versions,
      stored: versions[0],
      shortNames,
      columns,
    });
    assert.deepEqual(table, [
      kind('customruns', ['v1beta1'], runColumns),
      kind('pipelines', ['v1', 'v1beta1'], []),
      kind('pipelineruns', ['v1', 'v1beta1'], runColumns, ['pr', 'prs']),
      kind('stepactions', ['v1beta1', 'v1alpha1'], []),
      kind('tasks', ['v1', 'v1beta1'], []),
      kind('taskruns', ['v1', 'v1beta1'], runColumns, ['tr', 'trs']),
    ]);
  });

  it('are made anew with every call', () => {
    const [first] = tektonCrds();
    assert.ok(first);
    objectIn(first.spec).group = 'changed';
    assert.equal(objectIn(tektonCrds()[0]?.spec).group, 'tekton.dev');
  });
});
