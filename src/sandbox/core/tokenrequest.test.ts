import assert from 'node:assert/strict';
import { objectOf, readerOf, testTime } from '../../../test/support/core-kinds.ts';
import { administrator } from '../access/caller.ts';
import { createTokens, issuer } from '../access/tokens.ts';
import type { JsonObject } from '../object.ts';
import { StatusError } from '../status.ts';
import { objectIn, textIn } from './reading.ts';
import { tokenSubresource } from './tokenrequest.ts';

const account = objectOf('ServiceAccount', 'builder');
const pods = ['builder', 'other'].map((name) => objectOf('Pod', name, { spec: { serviceAccountName: name } }));
const reader = readerOf([account, ...pods]);
const tokens = createTokens({ reader, clock: { now: () => testTime.getTime() } });
const subresource = tokenSubresource({ now: () => testTime, tokens, reader });

async function ask(body: JsonObject | undefined): Promise<JsonObject> {
  const { signal } = new AbortController();
  const request = { caller: administrator, method: 'POST', query: new URLSearchParams(), body, signal };
  const answer = await subresource.handle(request, account);
  assert.ok('object' in answer);
  assert.equal(answer.code, 201);
  return answer.object;
}

describe('a request for a token', () => {
  it('need not say anything', async () => {
    const { metadata, spec, status } = await ask({});
    assert.deepEqual(metadata, {
      name: 'builder',
      namespace: 'x',
      uid: account.metadata.uid,
      creationTimestamp: '2025-06-01T12:00:00Z',
    });
    assert.deepEqual(spec, { audiences: [issuer], expirationSeconds: 3600, boundObjectRef: null });
    const { token, expirationTimestamp } = objectIn(status);
    assert.equal(expirationTimestamp, '2025-06-01T13:00:00Z');
    assert.equal(tokens.callerOf(textIn(token))?.name, 'system:serviceaccount:x:builder');
  });

  it('says for whom, how long and with what it is good', async () => {
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'builder' };
    const { spec, status } = await ask({ spec: { audiences: ['a'], expirationSeconds: 600, boundObjectRef } });
    assert.deepEqual(spec, { audiences: ['a'], expirationSeconds: 600, boundObjectRef });
    assert.equal(objectIn(status).expirationTimestamp, '2025-06-01T12:10:00Z');
    assert.deepEqual(tokens.review(textIn(objectIn(status).token), ['a'])?.audiences, ['a']);
  });

  const invalid = 'TokenRequest.authentication.k8s.io';
  const refused: readonly { given: JsonObject; code: number; want: string }[] = [
    {
      given: { spec: { expirationSeconds: 10 } },
      code: 422,
      want: `${invalid} "" is invalid: spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes`,
    },
    {
      given: { spec: { expirationSeconds: 2 ** 33 } },
      code: 422,
      want: `${invalid} "" is invalid: spec.expirationSeconds: Invalid value: 8589934592: may not specify a duration larger than 2^32 seconds`,
    },
    {
      given: { metadata: { name: 'z' } },
      code: 422,
      want: `${invalid} "builder" is invalid: metadata.name: Invalid value: "z": must match the service account name if specified`,
    },
    {
      given: { metadata: { uid: 'z' } },
      code: 409,
      want: `Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "builder": the UID in the token request (z) does not match the UID of the service account (${account.metadata.uid})`,
    },
    {
      given: { apiVersion: 'v1', kind: 'Pod' },
      code: 400,
      want: 'Pod in version "v1" cannot be handled as a TokenRequest: converting (v1.Pod) to (authentication.TokenRequest): unknown conversion',
    },
    {
      given: { spec: { boundObjectRef: { kind: 'Foo', apiVersion: 'v1' } } },
      code: 400,
      want: 'cannot bind token to object of type /v1, Kind=Foo',
    },
    {
      given: { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'q' } } },
      code: 404,
      want: 'pods "q" not found',
    },
    {
      given: { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'other' } } },
      code: 400,
      want: 'cannot bind token for serviceaccount "builder" to pod running with different serviceaccount name.',
    },
    {
      given: { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'builder', uid: 'z' } } },
      code: 409,
      want: 'Operation cannot be fulfilled on pods "builder": the UID in the bound object reference (z) does not match the UID in record. The object might have been deleted and then recreated',
    },
  ];
  for (const { given, code, want } of refused) {
    it(want, async () => {
      await assert.rejects(ask(given), (error) => {
        assert.ok(error instanceof StatusError);
        assert.deepEqual([error.code, error.message], [code, want]);
        return true;
      });
    });
  }
});
