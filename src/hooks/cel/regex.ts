/**
 * Regular expressions in time that is linear in their input, as RE2 has them. The library only tells whether one matches; where it does,
 * and what its groups hold, is found here by running its compiled program. https://swtch.com/~rsc/regexp/regexp2.html
 */
import { RE2JS } from '@bufbuild/re2';
import { LONGEST_TEXT } from './values.ts';

type Program = ReturnType<RE2JS['re2']>['prog'];

/** What instructions do, by the library's numbers for it. */
const [ALTERNATIVES, ALTERNATIVES_AND_MATCH, CAPTURE, EMPTY_WIDTH] = [1, 2, 3, 4];
const [MATCH, NOTHING] = [6, 7];

/** The bits of what holds between two characters. */
const [LINE_BEGINS, LINE_ENDS, TEXT_BEGINS, TEXT_ENDS, WORD_BOUNDARY, NO_WORD_BOUNDARY] = [1, 2, 4, 8, 16, 32];

const LINE_FEED = 0x0a;
/** Patterns that are kept as they were compiled: in a macro the same one comes for every item. */
const MOST_COMPILED = 32;

/** Compiled, and kept until all are forgotten. Throws where it is no regular expression of RE2. */
export function compiled(pattern: string): RE2JS {
  const known = kept.get(pattern);
  if (known !== undefined) return known;
  const regex = compile(pattern);
  if (kept.size >= MOST_COMPILED) kept.clear();
  kept.set(pattern, regex);
  return regex;
}

const kept = new Map<string, RE2JS>();

/** Forgets what was compiled. Each grows with what it is matched against, so none may outlive the event that it was used for. */
export function forgetCompiled(): void {
  kept.clear();
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch {
    // What the library says has the pattern in it, which may come from a body.
    throw new Error('regex: not a regular expression of RE2');
  }
}

/**
 * A text with every match replaced. In what replaces it, `$1`, `$name` and `${name}` stand for groups and `$$` for a dollar.
 * https://pkg.go.dev/regexp#Regexp.ReplaceAllString
 */
export function replaceAll(text: string, pattern: string, template: string): string {
  const regex = compiled(pattern);
  const program = regex.re2().prog;
  const expand = expansionOf(template, regex.namedGroups());
  let replaced = '';
  let behind = 0;
  for (let from = 0; from <= text.length; ) {
    const groups = firstMatch(program, text, from);
    if (groups === undefined) break;
    const [start = 0, end = 0] = groups;
    replaced += text.slice(behind, start);
    // A match of nothing right behind another match is none.
    if (end > behind || start === 0) replaced += expand(text, groups);
    if (replaced.length > LONGEST_TEXT) throw new Error('translate: the text becomes too long');
    behind = end;
    from = Math.max(end, from + Math.max(widthAt(text, from), 1));
  }
  return replaced + text.slice(behind);
}

/** What a template comes to for a match; groups that it does not have are nothing. */
function expansionOf(
  template: string,
  names: ReadonlyMap<string, number>,
): (text: string, groups: readonly number[]) => string {
  const pieces = template.split(/(\$\$|\$\{\w+\}|\$\w+)/);
  const groupOf = (piece: string): number | undefined => {
    const name = piece.replace(/^\$\{?|\}$/g, '');
    return /^\d{1,8}$/.test(name) ? Number(name) : names.get(name);
  };
  const parts = pieces.map((piece, place) => {
    if (place % 2 === 0) return piece;
    return piece === '$$' ? '$' : (groupOf(piece) ?? Number.MAX_SAFE_INTEGER);
  });
  return (text, groups) =>
    parts
      .map((part) => (typeof part === 'string' ? part : text.slice(groups[2 * part] ?? 0, groups[2 * part + 1] ?? 0)))
      .join('');
}

/** One way through the program: where it is, and the places that its groups have seen so far. */
interface Thread {
  readonly at: number;
  readonly groups: readonly number[];
}

/** The places of the leftmost match and of its groups, pair by pair, -1 for a group that is not in it. The first alternative wins. */
function firstMatch(program: Program, text: string, from: number): readonly number[] | undefined {
  const none: readonly number[] = new Array<number>(Math.max(program.numCap, 2)).fill(-1);
  let threads: readonly Thread[] = [];
  let matched: readonly number[] | undefined;
  let before = from === 0 ? -1 : characterBefore(text, from);
  for (let place = from; ; ) {
    const here = text.codePointAt(place) ?? -1;
    const holds = conditionsBetween(before, here);
    // Whoever came earlier goes first: a match that begins later loses against it.
    const starts = matched === undefined ? [{ at: program.start, groups: none.with(0, place) }] : [];
    const next: Thread[] = [];
    for (const thread of follow(program, [...threads, ...starts], holds, place)) {
      const instruction = program.getInst(thread.at);
      if (instruction.op === MATCH) {
        matched = thread.groups.with(1, place);
        // What comes behind it in the list is less wanted.
        break;
      }
      if (here !== -1 && instruction.matchRune(here)) next.push({ at: instruction.out, groups: thread.groups });
    }
    if (here === -1 || (next.length === 0 && matched !== undefined)) return matched;
    threads = next;
    before = here;
    place += widthAt(text, place);
  }
}

/** Where threads come to before they need a character or match, the most wanted first, each place once. */
function follow(program: Program, threads: readonly Thread[], holds: number, place: number): readonly Thread[] {
  const seen = new Set<number>();
  const waiting: Thread[] = [];
  const stack = threads.toReversed();
  for (let thread = stack.pop(); thread !== undefined; thread = stack.pop()) {
    const { at, groups } = thread;
    if (seen.has(at)) continue;
    seen.add(at);
    const { op, out, arg } = program.getInst(at);
    if (op === ALTERNATIVES || op === ALTERNATIVES_AND_MATCH) stack.push({ at: arg, groups }, { at: out, groups });
    else if (op === CAPTURE) stack.push({ at: out, groups: groups.with(arg, place) });
    else if (op === EMPTY_WIDTH) (arg & ~holds) === 0 && stack.push({ at: out, groups });
    else if (op === NOTHING) stack.push({ at: out, groups });
    else waiting.push(thread);
  }
  return waiting;
}

/** What holds between two characters, of which -1 is none. */
function conditionsBetween(before: number, after: number): number {
  return (
    (before === -1 ? TEXT_BEGINS | LINE_BEGINS : 0) |
    (before === LINE_FEED ? LINE_BEGINS : 0) |
    (after === -1 ? TEXT_ENDS | LINE_ENDS : 0) |
    (after === LINE_FEED ? LINE_ENDS : 0) |
    (isOfWord(before) === isOfWord(after) ? NO_WORD_BOUNDARY : WORD_BOUNDARY)
  );
}

function isOfWord(character: number): boolean {
  return character !== -1 && /\w/.test(String.fromCodePoint(character));
}

function characterBefore(text: string, place: number): number {
  const isPair = place > 1 && (text.codePointAt(place - 2) ?? 0) > 0xffff;
  return text.codePointAt(place - (isPair ? 2 : 1)) ?? -1;
}

function widthAt(text: string, place: number): number {
  const character = text.codePointAt(place);
  return character === undefined ? 0 : character > 0xffff ? 2 : 1;
}
