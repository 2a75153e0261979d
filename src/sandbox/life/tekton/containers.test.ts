import assert from 'node:assert/strict';
import { mergeTemplate, requestsBeyondLimits, shareResources, withOverrides } from './containers.ts';

describe('mergeTemplate', () => {
  const template = {
    image: 'template:1',
    workingDir: '/workspace',
    env: [
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ],
    securityContext: { runAsUser: 1, capabilities: { drop: ['ALL'] } },
    computeResources: { limits: { memory: '1Gi' } },
  };

  it('the step counts more, and gets what it does not say', () => {
    const step = mergeTemplate(template, {
      name: 's',
      image: 'own:1',
      securityContext: { runAsUser: 2 },
      computeResources: { limits: { cpu: '1' } },
    });
    assert.equal(step.image, 'own:1');
    assert.equal(step.workingDir, '/workspace');
    assert.deepEqual(step.securityContext, { runAsUser: 2, capabilities: { drop: ['ALL'] } });
    assert.deepEqual(step.computeResources, { limits: { memory: '1Gi', cpu: '1' } });
  });

  const orders = [
    { name: 'own variables come first', own: ['C'], want: ['C', 'A', 'B'] },
    { name: 'one that stands in both keeps those before it in front', own: ['B', 'C'], want: ['A', 'B', 'C'] },
    { name: 'the template alone', own: [], want: ['A', 'B'] },
  ];
  for (const { name, own, want } of orders) {
    it(`env: ${name}`, () => {
      const { env = [] } = mergeTemplate(template, { env: own.map((one) => ({ name: one, value: 'own' })) });
      assert.deepEqual(
        env.map((one) => one.name),
        want,
      );
      assert.ok(env.every((one) => (own.includes(one.name) ? one.value === 'own' : one.value !== 'own')));
    });
  }
});

describe('resources', () => {
  it('of the run count more than those of the step', () => {
    const steps = [{ name: 'a', computeResources: { requests: { cpu: '1' } } }, { name: 'b' }];
    const overrides = [{ name: 'a', computeResources: { limits: { cpu: '2' } } }];
    assert.deepEqual(withOverrides(steps, overrides), [
      { name: 'a', computeResources: { requests: { cpu: '1' }, limits: { cpu: '2' } } },
      { name: 'b' },
    ]);
  });

  it('of the whole Task are shared out; limits are everybody’s', () => {
    const shared = shareResources([{ name: 'a' }, { name: 'b' }, { name: 'c' }], {
      requests: { cpu: '500m', memory: '100Mi' },
      limits: { memory: '200Mi' },
    });
    // As a real Tekton divided them.
    for (const { computeResources } of shared) {
      assert.deepEqual(computeResources, {
        requests: { cpu: '166m', memory: '34952533' },
        limits: { memory: '200Mi' },
      });
    }
  });

  const limits = [
    { name: 'within the limit', request: '1', limit: '1', want: undefined },
    {
      name: 'beyond it',
      request: '1500m',
      limit: '1',
      want: 'invalid request resource value: 1500m must be less or equal to limit 1',
    },
  ];
  for (const { name, request, limit, want } of limits) {
    it(`a request ${name}`, () => {
      const steps = [{ computeResources: { requests: { cpu: request } } }];
      const stepTemplate = { computeResources: { limits: { cpu: limit } } };
      assert.equal(requestsBeyondLimits({ steps, stepTemplate }), want);
    });
  }
});
