import assert from 'node:assert/strict';
import { Fault, type FaultCode } from '../../fault.ts';
import { createLookup } from './lookup.ts';

describe('looking up a pod', () => {
  const ref = { namespace: 'ci', name: 'build-pod' };
  const lookup = (code: FaultCode) =>
    createLookup({
      reader: {
        get: async () => {
          throw new Fault(code, 'no');
        },
      } as unknown as Parameters<typeof createLookup>[0]['reader'], // nothing else is asked of it
      versions: { pathOf: async () => undefined } as unknown as Parameters<typeof createLookup>[0]['versions'],
    });

  for (const code of ['not-found', 'refused'] as const)
    it(`finds none when the answer is ${code}`, async () => assert.equal(await lookup(code).pod(ref), undefined));

  for (const code of ['unavailable', 'timeout'] as const)
    it(`run 6: does not take it for gone when the API is ${code}`, () =>
      assert.rejects(lookup(code).pod(ref), { code }));
});
