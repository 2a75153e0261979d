/** The difference between two values, for people to read in a refusal. */
import type { Json } from '../object.ts';

/** Lines around a change that are shown with it. */
const context = 3;

type Line = { readonly mark: ' ' | '-' | '+'; readonly text: string };

/**
 * What became of `old`, as a unified diff of both written as JSON. The server shows its internal structs in the same form, with
 * Go's names for the fields.
 */
export function difference(old: Json, changed: Json): string {
  const lines = compare(JSON.stringify(old, null, 1).split('\n'), JSON.stringify(changed, null, 1).split('\n'));
  const near = lines.map((_, place) =>
    lines.slice(Math.max(0, place - context), place + context + 1).some(({ mark }) => mark !== ' '),
  );
  let written = '';
  let [oldLine, newLine] = [1, 1];
  for (let place = 0; place < lines.length; ) {
    let end = place;
    while (near[end] === true) end += 1;
    const hunk = lines.slice(place, end);
    const [removed, added] = [hunk.filter(({ mark }) => mark !== '+'), hunk.filter(({ mark }) => mark !== '-')];
    if (hunk.length > 0) {
      written += `@@ -${oldLine},${removed.length} +${newLine},${added.length} @@\n`;
      written += hunk.map(({ mark, text }) => `${mark}${text}\n`).join('');
    }
    // The line after a hunk is unchanged, and in both.
    oldLine += removed.length + 1;
    newLine += added.length + 1;
    place = end + 1;
  }
  return written;
}

/** The longest common sequence of lines stays, the rest goes or comes. */
function compare(old: readonly string[], changed: readonly string[]): Line[] {
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(changed.length + 1));
  const at = (one: number, other: number) => common[one]?.[other] ?? 0;
  for (let one = old.length - 1; one >= 0; one -= 1) {
    const row = common[one];
    for (let other = changed.length - 1; row !== undefined && other >= 0; other -= 1) {
      row[other] =
        old[one] === changed[other] ? at(one + 1, other + 1) + 1 : Math.max(at(one + 1, other), row[other + 1] ?? 0);
    }
  }
  const lines: Line[] = [];
  let [one, other] = [0, 0];
  while (one < old.length || other < changed.length) {
    const [left, right] = [old[one], changed[other]];
    if (left !== undefined && left === right) {
      lines.push({ mark: ' ', text: left });
      one += 1;
      other += 1;
    } else if (left !== undefined && (right === undefined || at(one + 1, other) >= at(one, other + 1))) {
      lines.push({ mark: '-', text: left });
      one += 1;
    } else {
      lines.push({ mark: '+', text: right ?? '' });
      other += 1;
    }
  }
  return lines;
}
