/** Bindings: the parameters of a template, taken out of an event. Pure. https://tekton.dev/docs/triggers/triggerbindings/ */
import { Fault } from '../../fault.ts';
import { canonicalHeader } from '../headers.ts';
import type { HookHeaders, Json, JsonMap } from '../request.ts';
import { type Budget, type Path, parsePath, select } from './jsonpath.ts';

/** A parameter as a binding has it. */
export interface BoundParam {
  readonly name: string;
  readonly value: string;
}

/** A parameter whose value has been read. */
export interface Binding {
  readonly name: string;
  readonly parts: readonly Part[];
}

type Part = TextPart | PathPart;

interface TextPart {
  readonly is: 'text';
  readonly text: string;
}

interface PathPart {
  readonly is: 'path';
  readonly path: Path;
  readonly text: string;
}

/**
 * Reads the value of a parameter. Expressions are `$(...)` with their parentheses in balance, and of nested ones the innermost; what is
 * not closed is text. Throws `bad-request` with what is wrong with one.
 */
export function readBinding({ name, value }: BoundParam): Binding {
  const [before = '', ...rest] = value.split('$(');
  const parts: Part[] = [{ is: 'text', text: before }];
  for (const piece of rest) {
    const end = closing(piece);
    if (end < 0) {
      parts.push({ is: 'text', text: `$(${piece}` });
      continue;
    }
    const text = piece.slice(0, end);
    parts.push({ is: 'path', path: withCanonicalHeader(pathIn(text)), text });
    parts.push({ is: 'text', text: piece.slice(end + 1) });
  }
  return { name, parts: parts.filter((part) => part.text !== '') };
}

function pathIn(text: string): Path {
  try {
    return parsePath(text);
  } catch (error) {
    if (error instanceof Fault) throw new Fault(error.code, `$(${text.slice(0, 200)}) ${error.message}`);
    throw error;
  }
}

/** Where the first parenthesis is that closes none of `piece` itself; -1: nowhere. */
function closing(piece: string): number {
  let open = 0;
  for (let at = 0; at < piece.length; at++) {
    if (piece[at] === '(') open += 1;
    else if (piece[at] === ')' && --open < 0) return at;
  }
  return -1;
}

function withCanonicalHeader(path: Path): Path {
  const [root, name, ...rest] = path;
  if (root?.is !== 'field' || root.name !== 'header' || name?.is !== 'field') return path;
  return [root, { is: 'field', name: canonicalHeader(name.name) }, ...rest];
}

/** A parameter as a template declares it. */
export interface DeclaredParam {
  readonly name: string;
  readonly default: string | undefined;
}

/** What expressions can see of a delivery. What it comes to be called, `context.eventID`, is not known as long as it is looked at. */
export interface BindingInputs {
  readonly body: JsonMap;
  readonly headers: HookHeaders;
  readonly extensions: JsonMap;
}

/** The parameters of a delivery but for what it comes to be called. They hold what they take of it, and nothing else. */
export type Drawn = readonly {
  readonly name: string;
  readonly texts: readonly (string | ((eventId: string) => string))[];
}[];

/** All values together: an object of that size is refused by Kubernetes anyway. */
const MOST_TEXT = 1024 * 1024;
/** Items of lists that the paths of one trigger look at, which takes 10 ms, and 40 where the code has never run: the event loop stands still meanwhile. */
const MOST_ITEMS = 50_000;

/**
 * The parameters that bindings give for a delivery, and the defaults of those declared that they do not give. Where an expression has no
 * value the default of its parameter takes its place, and without one there are no parameters at all. Throws `bad-request` with a sentence
 * that names the parameter and holds nothing of the delivery.
 */
export function draw(bindings: readonly Binding[], declared: readonly DeclaredParam[], inputs: BindingInputs): Drawn {
  const given = new Set(bindings.map(({ name }) => name));
  const defaults = new Map(
    declared.flatMap(({ name, default: value }) => (value === undefined ? [] : [[name, value]])),
  );
  const document = documentOf(inputs);
  const budget: Budget = { left: MOST_ITEMS };
  let size = 0;
  const drawn = bindings.map(({ name, parts }) => {
    const fallback = defaults.get(name);
    const texts = parts.map((part) => {
      if (part.is === 'text') return part.text;
      const late = (eventId: string) => textOf(name, part, { context: { eventID: eventId } }, fallback, budget);
      const text = isLate(part) ? late('') : textOf(name, part, document, fallback, budget);
      if (budget.left < 0) throw new Fault('bad-request', `parameter ${name}: its paths look at too many items`);
      size += text.length;
      if (size > MOST_TEXT) throw new Fault('bad-request', `parameter ${name}: the parameters are larger than 1 MiB`);
      return isLate(part) ? late : text;
    });
    return { name, texts };
  });
  return [
    ...[...defaults].filter(([name]) => !given.has(name)).map(([name, value]) => ({ name, texts: [value] })),
    ...drawn,
  ];
}

/** The parameters by name, for a delivery that is called so. */
export function paramsOf(drawn: Drawn, eventId: string): ReadonlyMap<string, string> {
  return new Map(
    drawn.map(({ name, texts }) => [
      name,
      texts.map((text) => (typeof text === 'string' ? text : text(eventId))).join(''),
    ]),
  );
}

function isLate({ path: [root] }: PathPart): boolean {
  return root?.is === 'field' && root.name === 'context';
}

function textOf(
  name: string,
  { path, text }: PathPart,
  document: Json,
  fallback: string | undefined,
  budget: Budget,
): string {
  try {
    return rendered(select(path, document, budget));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (fallback !== undefined) return fallback;
    throw new Fault(error.code, `parameter ${name}: $(${text}) ${error.message}`);
  }
}

function documentOf({ body, headers, extensions }: BindingInputs): Json {
  const header = Object.fromEntries([...headers].map(([name, values]) => [name, values.join(',')]));
  return { body, header, extensions };
}

/** A string as it is, anything else as JSON, and what is several values as a list of them. */
function rendered(values: readonly Json[]): string {
  const [value] = values;
  if (values.length !== 1 || value === undefined) return jsonOf(values);
  return typeof value === 'string' ? value : jsonOf(value);
}

/** What was written already: parameters of one trigger, and all triggers of a listener, ask for the same parts of a large body. */
const written = new WeakMap<object, string>();

/** JSON without spaces, with the keys of objects in order, as Go writes it; but for those that are numbers, which come first here. */
function jsonOf(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const text = written.get(value) ?? JSON.stringify(inOrder(value));
  written.set(value, text);
  return text;
}

/** A copy to be written at once: putting the text together here takes three times as long, and a body may have a megabyte. */
function inOrder(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map(inOrder);
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, inOrder(value[key] ?? null)]));
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
