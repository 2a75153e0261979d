import assert from 'node:assert/strict';
import fc from 'fast-check';
import { basicCredentials, requireRead } from './auth.ts';

describe('basicCredentials', () => {
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  const table = [
    { name: 'name and password', given: `Basic ${encoded('ci:secret')}`, want: { name: 'ci', password: 'secret' } },
    {
      name: 'any case of the scheme, several spaces',
      given: `bAsIc   ${encoded('ci:secret')}`,
      want: { name: 'ci', password: 'secret' },
    },
    { name: 'a colon in the password', given: `Basic ${encoded('ci:a:b:c')}`, want: { name: 'ci', password: 'a:b:c' } },
    { name: 'a colon before the password', given: `Basic ${encoded('ci::a')}`, want: { name: 'ci', password: ':a' } },
    { name: 'no password', given: `Basic ${encoded('ci:')}`, want: { name: 'ci', password: '' } },
    { name: 'no name', given: `Basic ${encoded(':x')}`, want: { name: '', password: 'x' } },
    {
      name: 'letters beyond ASCII',
      given: `Basic ${encoded('zoë:пароль🔑')}`,
      want: { name: 'zoë', password: 'пароль🔑' },
    },
    { name: 'base64 without padding', given: 'Basic Y2k6eA', want: { name: 'ci', password: 'x' } },
    { name: 'nothing', given: undefined, want: undefined },
    { name: 'an empty header', given: '', want: undefined },
    { name: 'the scheme alone', given: 'Basic', want: undefined },
    { name: 'no colon', given: `Basic ${encoded('ci')}`, want: undefined },
    { name: 'what is not base64', given: 'Basic §§§', want: undefined },
    { name: 'two credentials', given: `Basic ${encoded('ci:x')} ${encoded('ci:y')}`, want: undefined },
    { name: 'a control character', given: `Basic ${encoded('ci:a\u0000b')}`, want: undefined },
    { name: 'another scheme', given: `Bearer ${encoded('ci:x')}`, want: undefined },
    { name: 'a scheme that contains ours', given: `NotBasic ${encoded('ci:x')}`, want: undefined },
  ];
  for (const { name, given, want } of table) {
    it(`reads ${name}`, () => assert.deepEqual(basicCredentials(given), want));
  }

  it('gives back any name without a colon and any password', () => {
    const printable = fc
      .string({ unit: 'binary' })
      .filter((text) => !/[\x00-\x1f\x7f]/.test(text) && text.isWellFormed());
    fc.assert(
      fc.property(
        printable.filter((text) => !text.includes(':')),
        printable,
        (name, password) => {
          assert.deepEqual(basicCredentials(`Basic ${encoded(`${name}:${password}`)}`), { name, password });
        },
      ),
    );
  });

  it('reads whatever is sent without failing', () => {
    fc.assert(fc.property(fc.string(), (header) => void basicCredentials(header)));
    fc.assert(fc.property(fc.base64String(), (text) => void basicCredentials(`Basic ${text}`)));
  });
});

describe('requireRead', () => {
  const everything = { name: 'ci', namespaces: 'all served' } as const;
  const narrow = { name: 'team-a', namespaces: ['a', 'x'] };
  const table = [
    { caller: everything, namespace: 'a', served: ['a', 'b'], may: true },
    { caller: everything, namespace: 'c', served: ['a', 'b'], may: false },
    { caller: everything, namespace: 'c', served: '*', may: true },
    { caller: narrow, namespace: 'a', served: ['a', 'b'], may: true },
    { caller: narrow, namespace: 'b', served: ['a', 'b'], may: false },
    { caller: narrow, namespace: 'x', served: ['a', 'b'], may: false },
    { caller: narrow, namespace: 'b', served: '*', may: false },
  ] as const;
  for (const { caller, namespace, served, may } of table) {
    it(`run 43: ${caller.name} ${may ? 'may' : 'may not'} read ${namespace} where ${served} is served`, () => {
      const ask = () => requireRead(caller, namespace, served);
      if (may) ask();
      else assert.throws(ask, { code: 'forbidden', message: 'this namespace is not open to you' });
    });
  }
});
