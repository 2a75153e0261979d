import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createPacking, type Packed } from './packing.ts';

const WORDS = new Set(['kind', 'name', 'reason']);
const shapeOf = ({ shape }: Packed) => shape.join('_');

describe('packing', () => {
  it('gives back an equal object, whatever is in it', () => {
    const packing = createPacking<object>(WORDS);
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\n', '\u0001', '"', '\\', '', '2026-11-01T10:00:00Z'),
    );
    // As names of properties and keys of labels are. JSON.parse of V8 13.6 mixes up some that need an escape.
    const names = fc.string({ unit: fc.constantFrom(...'abz019./-'), maxLength: 8 });
    const values = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        texts,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value')),
        tie('object'),
      ),
      object: fc.dictionary(fc.oneof(names, fc.constantFrom('uid', ...WORDS)), tie('value'), { noNullPrototype: true }),
    }));
    fc.assert(
      fc.property(values.object, (object) => {
        assert.deepEqual(packing.unpack(packing.pack(object as object)), object);
      }),
    );
  });

  it('keeps what objects have in common once', () => {
    const packing = createPacking<object>(WORDS);
    const object = (at: number) => ({
      kind: 'TaskRun',
      meta: { name: `run-${at}`, uid: `uid-${at}` },
      steps: [{ name: 'build', reason: 'Completed', at: `10:00:0${at}` }],
      exitCode: 0,
    });
    const [first, second] = [packing.pack(object(1)), packing.pack(object(2))];
    assert.equal(first.shape, second.shape);
    assert.equal(
      shapeOf(first),
      '{"kind":"TaskRun","meta":{"name":_,"uid":_},"steps":[{"name":"build","reason":"Completed","at":_}],"exitCode":0}',
    );
    assert.equal(first.own, '"run-1"\n"uid-1"\n"10:00:01"');
  });

  it('keeps times as numbers, if they come back as they were', () => {
    const packing = createPacking<object>(WORDS);
    const times = [
      '2026-11-01T10:00:00Z',
      '2026-02-30T10:00:00Z',
      '2026-11-01T24:00:00Z',
      '2026-11-01T10:00:00.5Z',
      '',
    ];
    const packed = packing.pack({ times });
    assert.deepEqual(packing.unpack(packed), { times });
    assert.deepEqual(packed.own.split('\n').slice(0, 2), ['tntig0', '"2026-02-30T10:00:00Z"']);
  });

  it('keeps a text that an object has several times once', () => {
    const packing = createPacking<object>(WORDS);
    const time = '2026-11-01T10:00:00Z';
    const object = { run: 'run-1', began: time, owner: 'run-1', steps: [{ at: time }, { at: 'run-1' }], looks: '=0' };
    const packed = packing.pack(object);
    assert.equal(packed.own, '"run-1"\ntntig0\n=0\n=1\n=0\n"=0"');
    assert.deepEqual(packing.unpack(packed), object);
  });

  it('leaves out what is undefined, as JSON does', () => {
    const packing = createPacking<{ readonly a?: string | undefined; readonly b: number }>(WORDS);
    assert.deepEqual(packing.unpack(packing.pack({ a: undefined, b: 1 })), { b: 1 });
  });
});
