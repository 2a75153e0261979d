/**
 * Objects at rest take a third of the memory: what many of them have in common is kept once, and what is their own is one
 * text. A replica keeps all that there is, and most of it is over and never asked about again.
 */
import type { Json, JsonObject } from './objects.ts';

/** An object at rest: its own texts stand where `shape` has gaps. A class, so that it is told from what is not at rest. */
export class Packed {
  readonly shape: Shape;
  readonly own: string;

  constructor(shape: Shape, own: string) {
    this.shape = shape;
    this.own = own;
  }
}

/** JSON with gaps, as the texts between them. */
type Shape = readonly string[];

/** Makes objects small, and again what they were. */
export interface Packing<T extends object> {
  /** Packs plain JSON-like data; what has no counterpart in JSON (undefined, functions) is lost. */
  pack(object: T): Packed;
  /** An equal object, a new one each time. */
  unpack(packed: Packed): T;
}

/** Stands in a shape where a text is left out. JSON escapes it wherever an object has it. */
const GAP = '\u0001';
/** JSON escapes line breaks, so none is in a text. */
const SEPARATOR = '\n';
/** Before the place of an earlier text of the same object that is equal: a third of them are. No other text begins so. */
const AGAIN = '=';
/** Shapes are as many as there are sorts of objects; where they are not, remembering them costs more than it saves. */
const MOST_SHAPES = 10_000;

/**
 * A packing for which the texts of properties with these `words` as names are common to many objects (a reason, the name
 * of a step), and all others are an object's own. A wrong guess costs memory, never the truth.
 */
export function createPacking<T extends object>(words: ReadonlySet<string>): Packing<T> {
  const shapes = new Map<string, Shape>();
  /** The shape and the texts of the object that is being packed. */
  let text = '';
  let own: string[] = [];
  /** Where each of `own` is. */
  let places = new Map<string, number>();

  const shapeOf = (text: string): Shape => {
    const known = shapes.get(text);
    if (known !== undefined) return known;
    const shape = text.split(GAP);
    if (shapes.size >= MOST_SHAPES) shapes.clear();
    shapes.set(text, shape);
    return shape;
  };

  const add = (json: string): void => {
    const place = places.get(json);
    if (place === undefined) places.set(json, own.length);
    own.push(place === undefined ? shortened(json) : `${AGAIN}${place.toString(36)}`);
  };
  const write = (value: Json | undefined, isCommon: boolean): void => {
    if (typeof value === 'string') {
      const json = JSON.stringify(value);
      if (isCommon) text += json;
      else {
        text += GAP;
        add(json);
      }
    } else if (typeof value !== 'object' || value === null) {
      text += String(value);
    } else if (Array.isArray(value)) {
      text += '[';
      for (let at = 0; at < value.length; at++) {
        if (at > 0) text += ',';
        write(value[at], false);
      }
      text += ']';
    } else writeObject(value as JsonObject);
  };
  const writeObject = (object: JsonObject): void => {
    // Whatever has a uid has a name of its own; other names are of steps, parameters and results.
    const isNamed = 'uid' in object;
    let before = '{';
    for (const name in object) {
      const value = object[name];
      if (value === undefined) continue;
      text += `${before}${quoted(name)}:`;
      write(value, words.has(name) && !(isNamed && name === 'name'));
      before = ',';
    }
    text += before === '{' ? '{}' : '}';
  };

  return {
    pack(object) {
      text = '';
      own = [];
      places = new Map();
      // Projections are JSON-like, which an interface cannot say.
      writeObject(object as JsonObject);
      return new Packed(shapeOf(text), own.join(SEPARATOR)); // joined, not added up: V8 would keep every piece
    },
    unpack({ shape, own }) {
      const texts = own.split(SEPARATOR);
      let json = shape[0] ?? '';
      for (let gap = 1; gap < shape.length; gap++) {
        const text = texts[gap - 1] ?? '';
        const first = text.startsWith(AGAIN) ? texts[Number.parseInt(text.slice(1), 36)] : text;
        json += lengthened(first ?? '') + (shape[gap] ?? '');
      }
      // The same JSON that `pack` was given as an object of this type.
      return JSON.parse(json) as T;
    },
  };
}

/** Names of properties as JSON writes them; they are few, and those of labels are bounded like shapes. */
const names = new Map<string, string>();

function quoted(name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  const json = JSON.stringify(name);
  if (names.size >= MOST_SHAPES) names.clear();
  names.set(name, json);
  return json;
}

// A third of the texts are times. Whole seconds in base 36 begin with no quote, which tells them from all other texts.
const TIME = /^"[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ"$/;
/** What recent times were shortened to: a run's objects begin when others end, and runs begin together. */
const times = new Map<string, string>();
const MOST_TIMES = 1_000;

/** A JSON text, or something shorter that `lengthened` makes into it. */
function shortened(json: string): string {
  if (json.length !== 22 || !TIME.test(json)) return json;
  const known = times.get(json);
  if (known !== undefined) return known;
  const seconds = Date.parse(json.slice(1, -1)) / 1_000;
  const short = Number.isNaN(seconds) ? json : seconds.toString(36);
  // 24:00:00 is a time, but not the one that would come back.
  const safe = lengthened(short) === json ? short : json;
  if (times.size >= MOST_TIMES) times.clear();
  times.set(json, safe);
  return safe;
}

function lengthened(text: string): string {
  if (text.startsWith('"')) return text;
  return `"${new Date(Number.parseInt(text, 36) * 1_000).toISOString().slice(0, 19)}Z"`;
}
