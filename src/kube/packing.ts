/**
 * Objects at rest take a third of the memory: what many of them have in common is kept once, and what is their own is one
 * text. A replica keeps all that there is, and most of it is over and never asked about again.
 */
import type { Json } from './objects.ts';

/** An object at rest: its own texts stand where `shape` has gaps. */
export interface Packed {
  readonly shape: Shape;
  readonly own: string;
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

/** Stands in a shape where a text of its own is left out. No object says that by itself. */
const GAP = '\u0001';
/** As JSON writes it. */
const GAP_TEXT = '"\\u0001"';
/** JSON escapes line breaks, so none is in a text. */
const SEPARATOR = '\n';
/** Shapes are as many as there are sorts of objects; where they are not, remembering them costs more than it saves. */
const MOST_SHAPES = 10_000;

/**
 * A packing for which the texts of properties with these `words` as names are common to many objects (a reason, the name
 * of a step), and all others are an object's own. A wrong guess costs memory, never the truth.
 */
export function createPacking<T extends object>(words: ReadonlySet<string>): Packing<T> {
  const shapes = new Map<string, Shape>();

  const shapeOf = (text: string): Shape => {
    const known = shapes.get(text);
    if (known !== undefined) return known;
    const shape = text.split(GAP_TEXT);
    if (shapes.size >= MOST_SHAPES) shapes.clear();
    shapes.set(text, shape);
    return shape;
  };

  return {
    pack(object) {
      const own: string[] = [];
      const text = JSON.stringify(object, function (this: object, name: string, value: Json): Json {
        // Whatever has a uid has a name of its own; other names are of steps, parameters and results.
        if (typeof value !== 'string' || (value !== GAP && words.has(name) && !('uid' in this))) return value;
        own.push(JSON.stringify(value));
        return GAP;
      });
      return { shape: shapeOf(text), own: own.join(SEPARATOR) };
    },
    unpack({ shape, own }) {
      const texts = own.split(SEPARATOR);
      let json = shape[0] ?? '';
      for (let gap = 1; gap < shape.length; gap++) json += (texts[gap - 1] ?? '') + (shape[gap] ?? '');
      // The same JSON that `pack` was given as an object of this type.
      return JSON.parse(json) as T;
    },
  };
}
