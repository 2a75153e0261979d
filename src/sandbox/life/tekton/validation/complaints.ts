/**
 * What Tekton finds wrong with a spec, and how it says many things in one sentence.
 * https://github.com/knative/pkg/blob/main/apis/field_error.go
 */

/** A step of a path below another: a field, the place in a list, or the key of a map. */
export type Below = string | number | { readonly key: string };

/**
 * `spec`, `tasks`, 0, `params`, {key: 'x'} become `spec.tasks[0].params[x]`. A key with a dot in it is not attached but
 * stands after one, because Tekton takes paths apart at their dots.
 */
export function at(path: string, ...steps: readonly Below[]): string {
  return steps.reduce<string>((above, step) => {
    const part = typeof step === 'string' ? step : `[${typeof step === 'number' ? step : step.key}]`;
    if (part === '') return above;
    const isAttached = typeof step !== 'string' && !part.includes('.');
    return above === '' || isAttached ? `${above}${part}` : `${above}.${part}`;
  }, path);
}

/** Collects what is wrong. One collection is filled by all checks of one object. */
export class Complaints {
  readonly #found: { readonly message: string; readonly details: string; readonly paths: Set<string> }[] = [];
  readonly #spell: (path: string) => string;

  /** `spell` says what a path is called in the version that was asked for. */
  constructor(spell: (path: string) => string = (path) => path) {
    this.#spell = spell;
  }

  /** `message` holds at `paths`; the same message said again only adds its paths. */
  say(message: string, paths: string | readonly string[], details = ''): void {
    const said = this.#found.find((one) => one.message === message && one.details === details);
    const { paths: all } = said ?? { paths: new Set<string>() };
    for (const path of typeof paths === 'string' ? [paths] : paths) all.add(this.#spell(path));
    if (said === undefined) this.#found.push({ message, details, paths: all });
  }

  missing(path: string): void {
    this.say('missing field(s)', path);
  }

  /** `value` as Tekton prints it. */
  invalid(value: string, path: string, details = ''): void {
    this.say(`invalid value: ${value}`, path, details);
  }

  forbidden(path: string): void {
    this.say('must not set the field(s)', path);
  }

  neither(paths: readonly string[]): void {
    this.say('expected exactly one, got neither', paths);
  }

  both(paths: string | readonly string[]): void {
    this.say('expected exactly one, got both', paths);
  }

  /** A feature that is only there with `enable-api-fields: alpha`; the complaint has no path. */
  needsAlpha(feature: string): void {
    this.say(`${feature} requires "enable-api-fields" feature gate to be "alpha" but it is "beta"`, '');
  }

  /** A feature flag that is off in Tekton's own configuration. */
  needsFlag(flag: string, purpose: string, path: string): void {
    this.say(`feature flag ${flag} should be set to true to ${purpose}`, path);
  }

  /** Everything that was said, ordered by message; undefined when nothing was. */
  sentence(): string | undefined {
    if (this.#found.length === 0) return undefined;
    const lines = this.#found
      .toSorted((a, b) => compare(a.message, b.message) || compare(a.details, b.details))
      .map(({ message, details, paths }) => {
        const line = `${message}: ${[...paths].sort().join(', ')}`;
        return details === '' ? line : `${line}\n${details}`;
      });
    return lines.join('\n');
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
