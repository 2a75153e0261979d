import assert from 'node:assert/strict';
import { loadConfig } from '../../config.ts';
import { logOptions } from './logoptions.ts';

describe('the options of a log', () => {
  it('the longest cursor fits in a URL with the longest path and other options', () => {
    const loaded = loadConfig({ AUTH_USERNAME: 'ci', AUTH_PASSWORD: 'correct horse' });
    assert.ok(loaded.ok);
    const { cursor } = logOptions(loaded.config.maxWaitSeconds);
    const { maxLength } = cursor.kind.schema;
    const path = `/taskruns/${'n'.repeat(63)}/${'t'.repeat(253)}/logs?cursor=`;
    assert.ok(typeof maxLength === 'number' && maxLength >= 4096);
    assert.ok(maxLength + path.length + 500 < loaded.config.maxUrlBytes);
  });
});
