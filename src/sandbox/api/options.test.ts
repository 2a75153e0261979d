/** What the server says to parameters that it does not take. */
import assert from 'node:assert/strict';
import type { JsonObject } from '../object.ts';
import { deleteParameters, listOptions, writeParameters } from './options.ts';

const query = (text: string) => new URLSearchParams(text);

describe('listOptions', () => {
  const invalid = 'ListOptions.meta.k8s.io "" is invalid: ';
  const at = 'resourceVersionMatch: ';
  const wrong = [
    ['limit=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['timeoutSeconds=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [
      'resourceVersionMatch=Exact',
      422,
      `${invalid}${at}Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`,
    ],
    [
      'resourceVersion=0&resourceVersionMatch=Exact',
      422,
      `${invalid}${at}Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`,
    ],
    [
      'resourceVersion=5&resourceVersionMatch=Foo',
      422,
      `${invalid}${at}Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""`,
    ],
    [
      'watch=1&resourceVersionMatch=Exact&resourceVersion=5',
      422,
      `${invalid}[${at}Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided, ` +
        `${at}Unsupported value: "Exact": supported values: "NotOlderThan"]`,
    ],
    [
      'watch=1&sendInitialEvents=true',
      422,
      `${invalid}${at}Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`,
    ],
    ['sendInitialEvents=true', 422, `${invalid}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list`],
  ] as const;
  for (const [text, code, message] of wrong) {
    it(`refuses ${text}`, () => assert.throws(() => listOptions(query(text)), { code, message }));
  }

  it('takes everything but false and 0 for true', () => {
    const watches = ['watch', 'watch=', 'watch=foo', 'watch=1'].map((text) => listOptions(query(text)).watch);
    assert.deepEqual(watches, [true, true, true, true]);
    const lists = ['', 'watch=0', 'watch=False'].map((text) => listOptions(query(text)).watch);
    assert.deepEqual(lists, [false, false, false]);
  });

  it('takes a limit below 0 for none', () => assert.equal(listOptions(query('limit=-1')).limit, 0));
});

describe('writeParameters', () => {
  const wrong = [
    [
      'CreateOptions',
      'fieldValidation=Foo',
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"',
    ],
    [
      'UpdateOptions',
      'dryRun=Foo',
      'UpdateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Foo"]: supported values: "All"',
    ],
    [
      'PatchOptions',
      'force=true',
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    ],
    [
      'PatchOptions',
      `fieldManager=${'a'.repeat(129)}`,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
    ],
    [
      'PatchOptions',
      'fieldManager=%00',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "\\x00": invalid character U+0000 (at position 0)',
    ],
  ] as const;
  for (const [kind, text, message] of wrong) {
    it(`refuses ${text.slice(0, 40)}`, () => {
      assert.throws(() => writeParameters(kind, query(text)), { code: 422, reason: 'Invalid', message });
    });
  }

  it('asks who applies', () => {
    assert.throws(() => writeParameters('PatchOptions', query(''), { isApply: true }), {
      message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    });
  });

  it('warns unless told otherwise', () => {
    const warns = { dryRun: false, fieldManager: '', fieldValidation: 'Warn' };
    assert.deepEqual(writeParameters('CreateOptions', query('')), warns);
    const strict = { dryRun: true, fieldManager: 'm', fieldValidation: 'Strict' };
    assert.deepEqual(
      writeParameters('CreateOptions', query('dryRun=All&fieldManager=m&fieldValidation=Strict')),
      strict,
    );
  });
});

describe('deleteParameters', () => {
  const wrong: readonly (readonly [JsonObject, number, string])[] = [
    [
      { propagationPolicy: 'Foo' },
      422,
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: "Foreground", "Background", "Orphan", "nil"',
    ],
    [
      { propagationPolicy: 'Orphan', orphanDependents: true },
      422,
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
    ],
    [
      { gracePeriodSeconds: 'x' },
      500,
      'json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
    ],
  ];
  for (const [body, code, message] of wrong) {
    it(`refuses ${JSON.stringify(body)}`, () => {
      assert.throws(() => deleteParameters(query(''), body), { code, message });
    });
  }

  it('takes the body for all there is, and the query where there is none', () => {
    const text = 'propagationPolicy=Foreground&gracePeriodSeconds=5';
    assert.equal(deleteParameters(query(text), {}).propagation, undefined);
    const { propagation, gracePeriodSeconds } = deleteParameters(query(text), undefined);
    assert.deepEqual({ propagation, gracePeriodSeconds }, { propagation: 'Foreground', gracePeriodSeconds: 5 });
  });
});
