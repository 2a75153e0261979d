/**
 * How names, keys and paths have to look. Each check answers the sentences of what is wrong, as the server has them.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 */
import type { Json } from '../object.ts';
import type { Cause } from '../status.ts';
import { invalidValue } from './causes.ts';

/** Answers what is wrong with `value`; nothing when it is fine. */
export type Format = (value: string) => string[];

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

/** `my-name`: names of namespaces, containers and volumes. */
export const dnsLabel: Format = (value) => {
  if (value.includes('.') && value.length <= 63 && dnsSubdomain(value).length === 0) return ['must not contain dots'];
  return labelRule(value);
};

const labelRule = limited(
  63,
  label,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  ['my-name', '123-abc'],
);

/** `example.com`: names of most objects. */
export const dnsSubdomain: Format = limited(
  253,
  subdomain,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  ['example.com'],
);

/** The value of a label. */
export const labelValue: Format = limited(
  63,
  `(${qualified})?`,
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  ['MyValue', 'my_value', '12345'],
);

/** A key of a ConfigMap or Secret. */
export const configKey: Format = (value) => [...configKeyRule(value), ...dots(value)];

const configKeyRule = limited(
  253,
  '[-._a-zA-Z0-9]+',
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  ['key.name', 'KEY_NAME', 'key-name'],
);

/** The name of an environment variable; since Kubernetes 1.34 any printable ASCII character but `=`. */
export const variableName: Format = (value) => {
  if (value === '') return ['environment variable name must not be empty'];
  return /^[ -<>-~]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
};

/** `example.com/name` or `name`: keys of labels and annotations, finalizers, names of conditions. */
export const qualifiedName: Format = (value) => {
  const parts = value.split('/');
  const sentence =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  const samples = ['MyName', 'my.name', '123-abc'];
  if (parts.length > 2) {
    const rule = regexSentence(`a qualified name ${sentence}`, qualified, samples);
    return [`${rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const [prefix, name] = parts.length === 2 ? [parts[0] ?? '', parts[1] ?? ''] : [undefined, value];
  const wrong: string[] = [];
  if (prefix === '') wrong.push('prefix part must be non-empty');
  else if (prefix !== undefined) wrong.push(...dnsSubdomain(prefix).map((one) => `prefix part ${one}`));
  if (name === '') wrong.push('name part must be non-empty');
  if (name.length > 63) wrong.push('name part must be no more than 63 characters');
  if (!new RegExp(`^${qualified}$`).test(name)) wrong.push(`name part ${regexSentence(sentence, qualified, samples)}`);
  return wrong;
};

/** The name of a port. */
export const portName: Format = (value) => {
  const wrong: string[] = [];
  if (value.length > 15) wrong.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(value)) wrong.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) wrong.push('must contain at least one letter (a-z)');
  if (value.includes('--')) wrong.push('must not contain consecutive hyphens');
  if (/^-|-$/.test(value)) wrong.push('must not begin or end with a hyphen');
  return wrong;
};

/** A name that only has to fit into a URL: those of RBAC's objects. */
export const pathSegment: Format = (value) => {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((part) => value.includes(part)).map((part) => `may not contain '${part}'`);
};

/** The number of a port. */
export function portNumber(field: string, value: Json | undefined): Cause[] {
  const fine = typeof value === 'number' && value >= 1 && value <= 65535;
  return fine ? [] : [invalidValue(field, value ?? 0, 'must be between 1 and 65535, inclusive')];
}

/** One cause for each sentence that `format` has about `value`. */
export function formatted(field: string, value: string, format: Format): Cause[] {
  return format(value).map((sentence) => invalidValue(field, value, sentence));
}

function limited(max: number, expression: string, sentence: string, samples: readonly string[]): Format {
  const whole = new RegExp(`^${expression}$`);
  return (value) => {
    const wrong = value.length > max ? [`must be no more than ${max} characters`] : [];
    if (!whole.test(value)) wrong.push(regexSentence(sentence, expression, samples));
    return wrong;
  };
}

function regexSentence(sentence: string, expression: string, samples: readonly string[]): string {
  const examples = samples.map((sample, place) => `${place === 0 ? '' : ' or'} '${sample}', `).join('');
  return `${sentence} (e.g.${examples}regex used for validation is '${expression}')`;
}

function dots(value: string): string[] {
  if (value === '.') return ["must not be '.'"];
  if (value === '..') return ["must not be '..'"];
  return value.startsWith('..') ? ["must not start with '..'"] : [];
}
