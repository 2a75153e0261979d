/** URLs as `parseURL` of Triggers takes them apart, which is as Go reads them: what browsers would mend is left, or refused. */

/** The parts of a URL, by the names that expressions know. */
export interface UrlParts {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly rawQuery: string;
  readonly fragment: string;
  /** All values of a name, with commas between them. */
  readonly query: ReadonlyMap<string, string>;
  readonly queryStrings: ReadonlyMap<string, readonly string[]>;
  /** Only where the URL has any. */
  readonly auth?: { readonly username: string; readonly password: string };
}

/** Takes a URL apart. Throws a sentence that has nothing of the URL in it. https://pkg.go.dev/net/url#Parse */
export function partsOfUrl(text: string): UrlParts {
  if (/[\0-\x1f\x7f]/.test(text)) throw mistake('a control character');
  const [beforeFragment, fragment] = cut(text, '#');
  const [scheme, afterScheme] = cutScheme(beforeFragment);
  const [hierarchy, rawQuery] = cut(afterScheme, '?');
  const rest = { scheme, rawQuery, fragment: unescaped(fragment), ...queryOf(rawQuery) };

  if (!hierarchy.startsWith('/')) {
    // `mailto:somebody`: nothing of it is a host or a path.
    if (scheme !== '') return { ...rest, host: '', path: '' };
    if (cut(hierarchy, '/')[0].includes(':')) throw mistake('a colon in the first segment of its path');
  }
  if (!hierarchy.startsWith('//') || (scheme === '' && hierarchy.startsWith('///'))) {
    return { ...rest, host: '', path: unescaped(hierarchy) };
  }
  const slash = hierarchy.indexOf('/', 2);
  const authority = slash === -1 ? hierarchy.slice(2) : hierarchy.slice(2, slash);
  const path = slash === -1 ? '' : unescaped(hierarchy.slice(slash));
  const at = authority.lastIndexOf('@');
  const host = hostOf(authority.slice(at + 1));
  return at === -1 ? { ...rest, host, path } : { ...rest, host, path, auth: authOf(authority.slice(0, at)) };
}

function mistake(what: string): Error {
  return new Error(`parseURL: the URL has ${what}`);
}

/** What is before the first `mark` and what is behind it, '' without one. */
function cut(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + mark.length)];
}

function cutScheme(text: string): readonly [string, string] {
  if (text.startsWith(':')) throw mistake('no scheme before its colon');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1];
  return scheme === undefined ? ['', text] : [scheme.toLowerCase(), text.slice(scheme.length + 1)];
}

function authOf(text: string): { readonly username: string; readonly password: string } {
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(text)) throw mistake('a user name with what has to be escaped');
  const [username, password] = cut(text, ':');
  return { username: unescaped(username), password: unescaped(password) };
}

function hostOf(text: string): string {
  const port = text.startsWith('[') ? /^\[[^\]]*\](.*)$/s.exec(text)?.[1] : (/:[^:]*$/.exec(text)?.[0] ?? '');
  if (port === undefined) throw mistake('an address without its closing bracket');
  if (!/^(:[0-9]*)?$/.test(port)) throw mistake('a port that is no number');
  // Only what is not ASCII may be escaped in a host.
  if (
    /%(?![89A-Fa-f][0-9A-Fa-f]|25)/.test(text) ||
    !/^[A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"%\u0080-\u{10ffff}]*$/u.test(text)
  ) {
    throw mistake('a host with what a host cannot have');
  }
  return unescaped(text);
}

function queryOf(rawQuery: string): Pick<UrlParts, 'query' | 'queryStrings'> {
  const queryStrings = new Map<string, string[]>();
  for (const pair of rawQuery.split('&')) {
    const [name, value] = cut(pair, '=').map(plusUnescaped);
    // As Go has it, what cannot be read is left out.
    if (pair === '' || pair.includes(';') || name === undefined || value === undefined) continue;
    const values = queryStrings.get(name);
    if (values === undefined) queryStrings.set(name, [value]);
    else values.push(value);
  }
  return { queryStrings, query: new Map([...queryStrings].map(([name, values]) => [name, values.join(',')])) };
}

function plusUnescaped(text: string): string | undefined {
  return isWellEscaped(text) ? decode(text.replaceAll('+', ' ')) : undefined;
}

function unescaped(text: string): string {
  if (!isWellEscaped(text)) throw mistake('a % that escapes nothing');
  return decode(text);
}

function isWellEscaped(text: string): boolean {
  return !/%(?![0-9A-Fa-f]{2})/.test(text);
}

/** Bytes that are no UTF-8 become the character that stands for such, where `decodeURIComponent` would throw. */
function decode(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (bytes) =>
    Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}
