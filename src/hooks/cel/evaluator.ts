/** Evaluates expressions, here and now: whoever calls it is held up for as long as that takes, so it is called in a worker. */
import { type CelInput, celEnv, isCelError, plan } from '@bufbuild/cel';
import type { CelInputs, CelResult } from './engine.ts';
import { readExpression } from './expression.ts';
import { type BytesMade, functions, type KnownSecret } from './functions.ts';
import { Kept } from './kept.ts';
import { compiled } from './regex.ts';
import { fromJson, intoJson } from './values.ts';

/** A key of a Secret that an expression asks for. */
export interface SecretKey {
  readonly name: string;
  readonly key: string;
}

/** The value of one; undefined: there is no such Secret, or no such key in it. */
export interface SecretValue extends SecretKey {
  readonly value: Uint8Array | undefined;
}

/** What became of one expression: its result, or what has to be known first. */
export type Evaluated = CelResult | { readonly needs: readonly SecretKey[] };

/** An expression that waits for inputs. */
export type Evaluation = (inputs: ReadableInputs, secrets: readonly SecretValue[]) => Evaluated;

/** Inputs as CEL takes them, made once for all expressions of a trigger. */
export type ReadableInputs = Readonly<Record<string, CelInput>>;

/** Reads expressions, and keeps those that it has read. */
export interface Evaluator {
  /** What is wrong with an expression; undefined: nothing. */
  mistakeIn(expression: string): string | undefined;
  /** Makes an expression ready; one with a mistake comes to that. Never throws, nor does what it returns. */
  prepare(expression: string): Evaluation;
}

/**
 * How many characters of expressions are kept with what they were read to, which is a thousand of the usual length, and takes some
 * hundreds of times their memory.
 */
const MOST_KEPT_TEXT = 128 * 1024;
/** Secrets that the expressions of one trigger may compare with for one event: a name may come from its body. */
const MOST_SECRETS = 8;
/** Bytes that an expression may make: V8 bounds what else it makes. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Makes inputs readable for CEL. They are to be plain JSON. */
export function readable({ body, header, extensions, requestURL }: CelInputs): ReadableInputs {
  // Without a prototype: an expression that names `constructor` names nothing.
  return Object.assign(Object.create(null), {
    body: fromJson(body),
    header: fromJson(header),
    extensions: fromJson(extensions),
    requestURL,
  });
}

/** Makes an evaluator. */
export function createEvaluator(): Evaluator {
  let known: readonly SecretValue[] = [];
  let needed: SecretKey[] = [];
  let bytes = 0;

  const secretOf: KnownSecret = (name, key) => {
    const isThat = (secret: SecretKey): boolean => secret.name === name && secret.key === key;
    const found = known.find(isThat);
    if (found !== undefined) return found.value;
    if (!needed.some(isThat)) {
      if (known.length + needed.length >= MOST_SECRETS)
        throw new Error('compareSecret: too many Secrets for one event');
      needed.push({ name, key });
    }
    throw new Error('compareSecret: the Secret has to be read first');
  };
  const made: BytesMade = (count) => {
    bytes += count;
    if (bytes > MOST_BYTES) throw new Error('bytes: too many for one event');
  };
  const env = celEnv({ re2: { compile: compiled }, funcs: functions(secretOf, made) });
  const evaluations = new Kept<Evaluation>(MOST_KEPT_TEXT);

  const prepare = (expression: string): Evaluation => {
    const read = readExpression(expression, env.funcs);
    if (!read.ok) return () => ({ ok: false, error: read.mistake });
    let evaluate: ReturnType<typeof plan>;
    try {
      evaluate = plan(env, read.expr);
    } catch {
      return () => ({ ok: false, error: 'it cannot be evaluated' });
    }
    return (inputs, secrets) => {
      known = secrets;
      needed = [];
      bytes = 0;
      const result = evaluate(inputs);
      if (needed.length > 0) return { needs: needed };
      if (isCelError(result)) return { ok: false, error: sentence(result.message, expression) };
      try {
        return { ok: true, value: intoJson(result) };
      } catch (error) {
        return { ok: false, error: sentence(error instanceof Error ? error.message : '', expression) };
      }
    };
  };

  return {
    mistakeIn(expression) {
      const read = readExpression(expression, env.funcs);
      return read.ok ? undefined : read.mistake;
    },
    prepare: (expression) => evaluations.of(expression, () => prepare(expression)),
  };
}

/** What CEL says that has nothing of the inputs in it. Functions of ours begin with their name. */
const HARMLESS =
  /^(?:[\w.@+]+: |the result |found no matching overload |type mismatch: |(?:u?int) overflow |u?int (?:divide|modulus) by zero$)/;

/** What went wrong, for whoever wrote the expression, without anything that somebody else wrote. */
function sentence(message: string, expression: string): string {
  const [, key] = /^field not found: (.*)$/su.exec(message) ?? [];
  if (key !== undefined) return expression.includes(key) ? `no such key: ${key}` : 'no such key';
  if (/^index .* out of bounds/su.test(message)) return 'index out of bounds';
  return HARMLESS.test(message) ? message : 'it cannot be evaluated with these inputs';
}
