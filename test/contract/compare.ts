/** Tells two conversations apart, in words short enough to act on. */
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../../src/sandbox/object.ts';
import type { Exchange } from './conversation.ts';

/** Throws an Error that names, for each exchange that differs, what was asked and each place with both values. */
export function assertSame(got: readonly Exchange[], real: readonly Exchange[] | undefined): void {
  if (real === undefined) throw new Error('the real server was never asked: record with UPDATE=1');
  if (isDeepStrictEqual(got, real)) return;
  const lines = Array.from({ length: Math.max(got.length, real.length) }, (_, place) => {
    const [one, other] = [got[place], real[place]];
    if (isDeepStrictEqual(one, other)) return [];
    // Exchanges are JSON by construction.
    const unlike = places((one ?? {}) as unknown as Json, (other ?? {}) as unknown as Json, '');
    return [
      `${(one ?? other)?.ask}`,
      ...unlike.map(({ path, has, wants }) => `  ${path}: ${text(has)}, should be ${text(wants)}`),
    ];
  });
  throw new Error(`answers differ\n${lines.flat().join('\n')}`);
}

interface Unlike {
  readonly path: string;
  readonly has: Json | undefined;
  readonly wants: Json | undefined;
}

/** The deepest places at which two values differ. */
function places(has: Json | undefined, wants: Json | undefined, path: string): readonly Unlike[] {
  if (isDeepStrictEqual(has, wants)) return [];
  if (!isTree(has) || !isTree(wants) || Array.isArray(has) !== Array.isArray(wants)) return [{ path, has, wants }];
  const [left, right] = [new Map(Object.entries(has)), new Map(Object.entries(wants))];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((key) =>
    places(left.get(key), right.get(key), path === '' ? key : `${path}.${key}`),
  );
}

function isTree(value: Json | undefined): value is Json & object {
  return typeof value === 'object' && value !== null;
}

function text(value: Json | undefined): string {
  return value === undefined ? 'absent' : JSON.stringify(value);
}
