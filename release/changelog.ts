/** CHANGELOG.md, in the form of https://keepachangelog.com/en/1.1.0/. Pure. */

/** One version, or what is not released yet. */
export interface Section {
  /** `Unreleased` or a version. */
  readonly name: string;
  /** `2026-01-31`; undefined of what is not released yet. */
  readonly date: string | undefined;
  /** What stands below, in order: `Added`, `Changed`, ... with the lines of each. */
  readonly groups: readonly { readonly name: string; readonly lines: readonly string[] }[];
}

/** Names that groups may have, in their order. */
export const groupNames: readonly string[] = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'];

/** The sections, as they stand. Throws with the line where the form is not kept. */
export function readChangelog(text: string): readonly Section[] {
  const sections: { name: string; date: string | undefined; groups: { name: string; lines: string[] }[] }[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, name, date] =
      /^## \[(Unreleased|\d+\.\d+\.\d+(?:-[\w.]+)?)\](?: - (\d{4}-\d{2}-\d{2}))?$/.exec(line) ?? [];
    const [, group] = /^### (\w+)$/.exec(line) ?? [];
    if (name !== undefined) sections.push({ name, date, groups: [] });
    else if (group !== undefined) sections.at(-1)?.groups.push({ name: group, lines: [] });
    else if (line.startsWith('- ')) sections.at(-1)?.groups.at(-1)?.lines.push(line.slice(2));
    else if (line.startsWith('#')) throw new Error(`CHANGELOG.md: ${line}`);
  }
  return sections;
}

/**
 * The text in which what was not released is that version, of that day, below a new heading for what comes next. Throws
 * when nothing stands there.
 */
export function released(text: string, version: string, date: string): string {
  const [next] = readChangelog(text);
  if (next?.name !== 'Unreleased' || next.groups.every(({ lines }) => lines.length === 0)) {
    throw new Error('CHANGELOG.md says nothing below [Unreleased]: what does this version bring?');
  }
  return text.replace('## [Unreleased]\n', `## [Unreleased]\n\n## [${version}] - ${date}\n`);
}
