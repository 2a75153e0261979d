import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import fc from 'fast-check';
import { clientAddress, networkOf, networks } from './address.ts';

describe('clientAddress', () => {
  const table = [
    { name: 'no proxy is believed', remote: '203.0.113.9', header: '198.51.100.1', trusted: [], want: '203.0.113.9' },
    { name: 'a stranger names somebody', remote: '203.0.113.9', header: '198.51.100.1', want: '203.0.113.9' },
    { name: 'a proxy names nobody', remote: '10.0.0.1', header: undefined, want: '10.0.0.1' },
    { name: 'a proxy names its client', remote: '10.0.0.1', header: '198.51.100.1', want: '198.51.100.1' },
    {
      name: 'a client has written somebody before itself',
      remote: '10.0.0.1',
      header: '127.0.0.1, 198.51.100.1',
      want: '198.51.100.1',
    },
    {
      name: 'proxies in a row',
      remote: '10.0.0.1',
      header: '198.51.100.1, 10.0.0.3, 10.0.0.2',
      want: '198.51.100.1',
    },
    { name: 'the header twice', remote: '10.0.0.1', header: ['1.1.1.1', '198.51.100.1'], want: '198.51.100.1' },
    { name: 'proxies alone', remote: '10.0.0.1', header: '10.0.0.3, 10.0.0.2', want: '10.0.0.3' },
    { name: 'what is no address', remote: '10.0.0.1', header: '198.51.100.1, unknown', want: '10.0.0.1' },
    { name: 'an empty header', remote: '10.0.0.1', header: '', want: '10.0.0.1' },
    { name: 'an address with its port', remote: '10.0.0.1', header: '198.51.100.1:4711', want: '198.51.100.1' },
    { name: 'IPv6 with its port', remote: '10.0.0.1', header: '[2001:DB8::1]:4711', want: '2001:db8::1' },
    { name: 'IPv4 inside IPv6', remote: '::ffff:10.0.0.1', header: '::ffff:198.51.100.1', want: '198.51.100.1' },
    { name: 'a zone', remote: 'fe80::1%eth0', header: undefined, want: 'fe80::1' },
    { name: 'a proxy of an IPv6 network', remote: 'fd00::5', header: '2001:db8::1', want: '2001:db8::1' },
    { name: 'a connection that is gone', remote: undefined, header: '198.51.100.1', want: 'unknown' },
    {
      name: 'a list without end',
      remote: '10.0.0.1',
      header: `198.51.100.1, ${'10.0.0.2,'.repeat(5_000)}10.0.0.2`,
      want: '10.0.0.2',
    },
  ];
  for (const { name, remote, header, trusted = ['10.0.0.0/8', 'fd00::/8'], want } of table) {
    it(name, () => assert.equal(clientAddress(remote, header, networks(trusted)), want));
  }

  it('is never what stands left of a stranger, whatever the header says', () => {
    const trusted = networks(['10.0.0.0/8']);
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())), fc.string(), (hops, more) => {
        const address = clientAddress('10.0.0.1', [more, [...hops, '198.51.100.1'].join(',')].join(','), trusted);
        assert.equal(address, '198.51.100.1');
        assert.equal(clientAddress('203.0.113.9', hops.join(','), trusted), '203.0.113.9');
      }),
    );
  });

  it('is an address, whatever the header says', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())).map(String)),
        (header) => {
          const address = clientAddress('10.0.0.1', header, networks(['0.0.0.0/0', '::/0']));
          assert.notEqual(isIP(address), 0, address);
          assert.match(networkOf(address), /^[0-9a-f.:]+\/(?:24|48)$/);
        },
      ),
    );
  });

  it('a single address may be believed', () => {
    assert.equal(clientAddress('192.0.2.1', '198.51.100.1', networks(['192.0.2.1'])), '198.51.100.1');
    assert.equal(clientAddress('192.0.2.2', '198.51.100.1', networks(['192.0.2.1'])), '192.0.2.2');
  });
});

describe('networkOf', () => {
  const table = [
    { given: '198.51.100.77', want: '198.51.100.0/24' },
    { given: '2001:db8:1:2:3:4:5:6', want: '2001:db8:1::/48' },
    { given: '2001:0db8::1', want: '2001:db8:0::/48' },
    { given: '::1', want: '0:0:0::/48' },
    { given: '64:ff9b::192.0.2.1', want: '64:ff9b:0::/48' },
    { given: 'unknown', want: 'unknown' },
  ];
  for (const { given, want } of table) it(`${given} counts to ${want}`, () => assert.equal(networkOf(given), want));
});
