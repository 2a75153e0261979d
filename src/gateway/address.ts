/** Where a request comes from: the other end of its connection, or whom a proxy that is believed names. Pure. */
import { BlockList, isIP } from 'node:net';

/** The address of an address or network as settings have it: `10.0.0.0/8`, `fd00::1`. */
export type Networks = Pick<BlockList, 'check'>;

/** The networks of TRUST_PROXY as one question. The texts have been checked by `loadConfig`. */
export function networks(texts: readonly string[]): Networks {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', length] = text.split('/');
    const family = familyOf(address);
    if (length === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(length), family);
  }
  return list;
}

const UNKNOWN = 'unknown';
/** Longer lists than any chain of proxies makes; what stands further left was written by nobody we believe anyway. */
const MOST_HOPS = 32;

/**
 * The client's address: `remote`, unless that is a proxy of `trusted`. Then the right-most address of `X-Forwarded-For`
 * that is no such proxy, because each proxy appends whom it was called by, and what stands left of a stranger the stranger
 * has written. What is no address ends the search: the proxy that wrote it is then the client.
 * https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
 */
export function clientAddress(
  remote: string | undefined,
  forwardedFor: string | readonly string[] | undefined,
  trusted: Networks,
): string {
  let client = plainAddress(remote);
  if (forwardedFor === undefined) return client;
  const hops = [forwardedFor].flat().join(',').split(',').slice(-MOST_HOPS);
  while (client !== UNKNOWN && trusted.check(client, familyOf(client))) {
    const before = plainAddress(withoutPort(hops.pop()?.trim() ?? ''));
    if (before === UNKNOWN) break;
    client = before;
  }
  return client;
}

/** The network that an address counts to where people are told apart by it: /24 of IPv4, /48 of IPv6. */
export function networkOf(address: string): string {
  if (isIP(address) === 4) return `${address.split('.').slice(0, 3).join('.')}.0/24`;
  if (isIP(address) === 6) return `${groupsOf(address).slice(0, 3).join(':')}::/48`;
  return address;
}

/** An address without what makes one and the same look different: a zone, IPv4 inside IPv6. `unknown` for what is none. */
export function plainAddress(text = ''): string {
  const address = text.split('%', 1)[0] ?? '';
  const inside = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (inside !== undefined && isIP(inside) === 4) return inside;
  return isIP(address) === 0 ? UNKNOWN : address.toLowerCase();
}

/** Some proxies write the port as well: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}

/** The eight groups of an IPv6 address without leading zeros, IPv4 at its end written as two of them. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) =>
      [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
    )
    .split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((group) => Number.parseInt(group, 16).toString(16));
}
