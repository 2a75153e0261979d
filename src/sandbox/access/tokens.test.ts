import assert from 'node:assert/strict';
import { objectOf, readerOf } from '../../../test/support/core-kinds.ts';
import { HandClock } from '../../../test/support/hand-clock.ts';
import { createTokens, issuer } from './tokens.ts';

const account = objectOf('ServiceAccount', 'builder', {}, { namespace: 'team' });
const pod = objectOf('Pod', 'p', {}, { namespace: 'team' });

function rig() {
  const clock = new HandClock();
  const objects = [account, pod];
  return { clock, objects, tokens: createTokens({ reader: readerOf(objects), clock }) };
}

describe('tokens', () => {
  it('are known as the account they were issued to', () => {
    const { tokens } = rig();
    const { token, audiences } = tokens.issue(account, { audiences: [], seconds: 600 });
    assert.deepEqual(audiences, [issuer]);
    assert.deepEqual(tokens.callerOf(token), {
      name: 'system:serviceaccount:team:builder',
      uid: account.metadata.uid,
      groups: ['system:serviceaccounts', 'system:serviceaccounts:team', 'system:authenticated'],
    });
  });

  it('look like those of a cluster', () => {
    const { tokens, clock } = rig();
    const { token } = tokens.issue(account, { audiences: ['a'], seconds: 600 });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const now = Math.floor(clock.now() / 1000);
    assert.deepEqual(
      { ...claims, jti: '' },
      {
        aud: ['a'],
        exp: now + 600,
        iat: now,
        iss: issuer,
        jti: '',
        'kubernetes.io': { namespace: 'team', serviceaccount: { name: 'builder', uid: account.metadata.uid } },
        nbf: now,
        sub: 'system:serviceaccount:team:builder',
      },
    );
  });

  it('end with their time', async () => {
    const { tokens, clock } = rig();
    const { token } = tokens.issue(account, { audiences: [], seconds: 600 });
    await clock.turn(599_000);
    assert.ok(tokens.callerOf(token));
    await clock.turn(1_000);
    assert.equal(tokens.callerOf(token), undefined);
  });

  it('end with their account, even if another one takes its name', () => {
    const { tokens, objects } = rig();
    const { token } = tokens.issue(account, { audiences: [], seconds: 600 });
    objects.splice(0, 1, objectOf('ServiceAccount', 'builder', {}, { namespace: 'team', uid: 'another' }));
    assert.equal(tokens.callerOf(token), undefined);
  });

  it('end with the pod they are bound to', () => {
    const { tokens, objects } = rig();
    const bound = { kind: 'Pod', name: 'p', uid: pod.metadata.uid } as const;
    const { token } = tokens.issue(account, { audiences: [], seconds: 600, bound });
    assert.deepEqual(tokens.review(token)?.extra['authentication.kubernetes.io/pod-name'], ['p']);
    objects.pop();
    assert.equal(tokens.callerOf(token), undefined);
  });

  it('are good for their audiences alone', () => {
    const { tokens } = rig();
    const { token } = tokens.issue(account, { audiences: ['a', 'b'], seconds: 600 });
    assert.equal(tokens.callerOf(token), undefined);
    assert.deepEqual(tokens.review(token, ['b', 'c'])?.audiences, ['b']);
  });

  it('of another process are nobody’s', () => {
    const { token } = rig().tokens.issue(account, { audiences: [], seconds: 600 });
    assert.equal(rig().tokens.callerOf(token), undefined);
  });

  it('that were changed are nobody’s', () => {
    const { tokens } = rig();
    const { token } = tokens.issue(account, { audiences: [], seconds: 600 });
    const [head, body = '', signature] = token.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 })).toString('base64url');
    for (const bad of [
      `${head}.${forged}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}.AAAA`,
      `${token}.x`,
      'a.b.c',
      '',
      'x',
    ]) {
      assert.equal(tokens.callerOf(bad), undefined, bad);
    }
  });
});
