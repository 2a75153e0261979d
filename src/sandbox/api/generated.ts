/** Names that the server makes up. */
import { randomInt } from 'node:crypto';

/** No vowels and no digits that look like letters, so that no words come out. */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const LENGTH = 5;
/** The longest prefix that is kept, so that the name still fits a DNS label. */
const MAX_PREFIX = 58;

/** `prefix` and five random letters, other than any that is taken. */
export function generatedName(prefix: string, isTaken: (name: string) => boolean): string {
  for (;;) {
    const name = prefix.slice(0, MAX_PREFIX) + randomLetters();
    if (!isTaken(name)) return name;
  }
}

function randomLetters(): string {
  return Array.from({ length: LENGTH }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('');
}
