/** What the real API server answered, one file for each area of the contract, to be read by people as well. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Json } from '../../src/sandbox/object.ts';
import type { Exchange } from './conversation.ts';

/** The conversations of an area by the titles of its cases. */
export type Recording = Readonly<Record<string, readonly Exchange[]>>;

const width = 120;

/** The recording of an area; empty before it was recorded for the first time. */
export function readRecording(area: string): Recording {
  const path = pathOf(area);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Recording) : {};
}

/** Replaces the recording of an area. */
export function writeRecording(area: string, recording: Recording): void {
  // Exchanges are JSON by construction.
  writeFileSync(pathOf(area), `${layOut(recording as unknown as Json, '')}\n`);
}

function pathOf(area: string): string {
  return new URL(`../fixtures/contract/${area.replaceAll(' ', '-')}.json`, import.meta.url).pathname;
}

/** JSON in which what fits on a line stands on one. */
function layOut(value: Json, indent: string): string {
  const flat = JSON.stringify(value);
  if (typeof value !== 'object' || value === null || (indent !== '' && flat.length + indent.length <= width))
    return flat;
  const deeper = `${indent}  `;
  const [open, close, parts] = Array.isArray(value)
    ? ['[', ']', value.map((item) => layOut(item, deeper))]
    : ['{', '}', Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${layOut(item ?? null, deeper)}`)];
  return `${open}\n${parts.map((part) => deeper + part).join(',\n')}\n${indent}${close}`;
}
