import assert from 'node:assert/strict';
import {
  configKey,
  dnsLabel,
  dnsSubdomain,
  type Format,
  labelValue,
  pathSegment,
  portName,
  qualifiedName,
  variableName,
} from './formats.ts';

const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const key =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const qualified =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

describe('formats', () => {
  const cases: readonly { format: Format; given: string; want: string[] }[] = [
    { format: dnsLabel, given: 'my-name', want: [] },
    { format: dnsLabel, given: 'A', want: [label] },
    { format: dnsLabel, given: '', want: [label] },
    { format: dnsLabel, given: 'a.b', want: ['must not contain dots'] },
    { format: dnsLabel, given: 'a'.repeat(64), want: ['must be no more than 63 characters'] },
    { format: dnsSubdomain, given: 'a.b-c', want: [] },
    { format: dnsSubdomain, given: 'a..b', want: [subdomain] },
    { format: dnsSubdomain, given: `${'a'.repeat(254)}_`, want: ['must be no more than 253 characters', subdomain] },
    { format: labelValue, given: '', want: [] },
    { format: labelValue, given: 'A_b.c', want: [] },
    { format: configKey, given: 'a.B_c-d', want: [] },
    { format: configKey, given: 'a b', want: [key] },
    { format: configKey, given: '.', want: ["must not be '.'"] },
    { format: configKey, given: '..', want: ["must not be '..'"] },
    { format: configKey, given: '..a', want: ["must not start with '..'"] },
    { format: variableName, given: '1 a', want: [] },
    {
      format: variableName,
      given: 'a=b',
      want: ["a valid environment variable name must consist only of printable ASCII characters other than '='"],
    },
    { format: qualifiedName, given: 'example.com/A_b', want: [] },
    { format: qualifiedName, given: 'a b', want: [qualified] },
    { format: qualifiedName, given: '/a', want: ['prefix part must be non-empty'] },
    { format: qualifiedName, given: 'a/', want: ['name part must be non-empty', qualified] },
    { format: portName, given: 'http', want: [] },
    {
      format: portName,
      given: 'A--',
      want: [
        'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
        'must contain at least one letter (a-z)',
        'must not contain consecutive hyphens',
        'must not begin or end with a hyphen',
      ],
    },
    { format: pathSegment, given: 'system:a', want: [] },
    { format: pathSegment, given: 'a/b%', want: ["may not contain '/'", "may not contain '%'"] },
    { format: pathSegment, given: '..', want: ["may not be '..'"] },
  ];
  for (const { format, given, want } of cases) {
    it(`'${given.slice(0, 20)}' against ${format.name}`, () => assert.deepEqual(format(given), want));
  }
});
