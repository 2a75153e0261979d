/** The environment variables of the cross-data-centre lock, as Pipeline Trigger Operator reads them. */
import { isIPv6 } from 'node:net';

/** The database that the lock is kept in, and how to speak to it. */
export interface LockDatabase {
  readonly username: string;
  readonly password: string;
  /** A name or an address, an IPv6 one without its brackets. */
  readonly host: string;
  readonly port: number;
  /** A PEM file: with it TLS is used, and the server's certificate is verified against it. */
  readonly tlsCaFile?: string;
  /** Nobody wants to be warned that there is no TLS. */
  readonly plaintextAllowed: boolean;
}

/** What was found: the database, or each thing that is wrong, a sentence that names its variable. */
export type CrossDcEnv =
  | { readonly ok: true; readonly database: LockDatabase }
  | { readonly ok: false; readonly mistakes: readonly string[] };

const MYSQL_PORT = 3306;

/**
 * Reads `username`, `password`, `address`, `ha_enabled`, `plaintext_connection_allowed` and `tls_ca_file`, in lower case as the
 * original has them, or else in upper case. An empty one counts as not set. All mistakes are told at once, each beginning
 * with the words of the original where it has some. Passwords are never a part of them.
 */
export function readCrossDcEnv(env: Readonly<Record<string, string | undefined>>): CrossDcEnv {
  const variable = (name: string) => env[name] || env[name.toUpperCase()] || '';
  const mistakes: string[] = [];

  const username = variable('username');
  if (username === '') mistakes.push('missing username: the cross-data-centre lock signs in to its database with it');
  const password = variable('password');
  if (password === '') mistakes.push('missing password: the cross-data-centre lock signs in to its database with it');

  const place = parseAddress(variable('address') || '127.0.0.1');
  if (place === undefined) {
    mistakes.push(
      `value [${variable('address')}] of 'address' could not be understood: it must be host, host:port or [IPv6]:port`,
    );
  }

  const haEnabled = parseBoolean(variable('ha_enabled'));
  if (haEnabled === undefined) {
    mistakes.push(
      `value [${variable('ha_enabled')}] of 'ha_enabled' could not be understood: the cross-data-centre lock needs it to be true`,
    );
  } else if (!haEnabled) {
    mistakes.push(`value [${variable('ha_enabled')}] of 'ha_enabled' leaves nothing to lock: it must be true`);
  }

  const plaintext = variable('plaintext_connection_allowed');
  const plaintextAllowed = plaintext === '' ? false : parseBoolean(plaintext);
  if (plaintextAllowed === undefined) {
    mistakes.push(
      `value [${plaintext}] of 'plaintext_connection_allowed' could not be understood: it must be true or false`,
    );
  }

  if (mistakes.length > 0 || place === undefined || plaintextAllowed === undefined) return { ok: false, mistakes };
  const tlsCaFile = variable('tls_ca_file');
  return {
    ok: true,
    database: { username, password, ...place, plaintextAllowed, ...(tlsCaFile === '' ? {} : { tlsCaFile }) },
  };
}

/** `host:port` as Go's `net.SplitHostPort` takes it, the port being MySQL's where there is none; undefined: it is neither. */
export function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  if (isIPv6(text)) return { host: text, port: MYSQL_PORT };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]/\s@]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? MYSQL_PORT : Number(digits);
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)) || port < 1 || port > 65_535)
    return undefined;
  return { host, port };
}

/** A boolean in the words that Go's `strconv.ParseBool` knows; undefined: any other. */
function parseBoolean(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}
