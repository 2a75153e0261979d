/** Lines that tell by themselves whether they are the right ones: what a step writes, and what a reader expects of it. */

/** What one step writes. */
export interface NumberedLines {
  /** Makes the checksums of one step differ from those of all others. */
  readonly salt: number;
  /** How many lines. */
  readonly count: number;
  /** Digits that every line has at least. */
  readonly width: number;
  /** So many lines at once, then a pause. */
  readonly burst: number;
  readonly pauseSeconds: number;
}

/** Every so many lines one is longer than a record of the container runtime, 16 KiB, and comes in several of them. */
const LONG_EVERY = 97;
const LONG_WIDTH = 20_000;
/** Lines are of many lengths, so that cuts fall everywhere in them. */
const WIDTHS = 41;
const FACTOR = 7919;
const MODULUS = 1_000_003;

/** Line `n`, from 1, without its line feed: its number, its checksum, and digits to a length that follows from `n`. */
export function lineOf({ salt, width }: NumberedLines, n: number): string {
  const digits = n % LONG_EVERY === 0 ? LONG_WIDTH : width + (n % WIDTHS);
  return `${n} ${(n * FACTOR + salt) % MODULUS} ${String(n).padStart(digits, '0')}`;
}

/** A script for any POSIX shell that writes all of them to standard output. */
export function scriptOf({ salt, count, width, burst, pauseSeconds }: NumberedLines): string {
  return `n=0
while [ "$n" -lt ${count} ]; do
  n=$((n + 1))
  w=$((${width} + n % ${WIDTHS}))
  if [ $((n % ${LONG_EVERY})) -eq 0 ]; then w=${LONG_WIDTH}; fi
  printf "%d %d %0\${w}d\\n" "$n" "$(((n * ${FACTOR} + ${salt}) % ${MODULUS}))" "$n"
  if [ $((n % ${burst})) -eq 0 ]; then sleep ${pauseSeconds}; fi
done`;
}
