import assert from 'node:assert/strict';
import { objectIn, objectsIn, textIn } from '../core/reading.ts';
import { fluxCrds } from './flux.ts';

describe("Flux's kinds", () => {
  it('have the versions that Flux 2.6 and 2.7 served, the newest stored', () => {
    const versions = fluxCrds().map(({ metadata, spec }) => [
      metadata.name,
      ...objectsIn(objectIn(spec).versions).map(
        ({ name, storage }) => `${textIn(name)}${storage === true ? ' stored' : ''}`,
      ),
    ]);
    assert.deepEqual(versions, [
      ['gitrepositories.source.toolkit.fluxcd.io', 'v1 stored', 'v1beta2'],
      ['ocirepositories.source.toolkit.fluxcd.io', 'v1 stored', 'v1beta2'],
      ['buckets.source.toolkit.fluxcd.io', 'v1 stored', 'v1beta2'],
      ['imagepolicies.image.toolkit.fluxcd.io', 'v1 stored', 'v1beta2'],
      ['imagerepositories.image.toolkit.fluxcd.io', 'v1 stored', 'v1beta2'],
      ['kustomizations.kustomize.toolkit.fluxcd.io', 'v1 stored', 'v1beta2'],
      ['helmreleases.helm.toolkit.fluxcd.io', 'v2 stored', 'v2beta2'],
      ['alerts.notification.toolkit.fluxcd.io', 'v1beta3 stored'],
      ['providers.notification.toolkit.fluxcd.io', 'v1beta3 stored'],
      ['receivers.notification.toolkit.fluxcd.io', 'v1 stored'],
    ]);
  });

  it('warn of the versions that are going', () => {
    const [repository] = fluxCrds();
    const warnings = objectsIn(objectIn(repository?.spec).versions).map(({ deprecated, deprecationWarning }) => [
      deprecated,
      deprecationWarning,
    ]);
    assert.deepEqual(warnings, [
      [undefined, undefined],
      [true, 'v1beta2 GitRepository is deprecated, upgrade to v1'],
    ]);
  });
});
