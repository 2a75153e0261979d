import assert from 'node:assert/strict';
import { receiverPath } from './receiver.ts';

describe('the path of a Receiver', () => {
  const path = '/hook/56538b75a2faa2586120801fc1fb665c775d55385eefe748259ed791193f50a9';

  it('is made of its token, name and namespace', () => {
    assert.equal(receiverPath('tok123', 'gw-receiver', 'apps'), path);
    assert.equal(receiverPath(Buffer.from('tok123'), 'gw-receiver', 'apps'), path);
  });

  it('is another one for a token with a line break behind it', () => {
    assert.notEqual(receiverPath('tok123\n', 'gw-receiver', 'apps'), path);
  });
});
