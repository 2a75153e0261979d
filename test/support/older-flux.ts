/** A sandbox as clusters with an older Flux are. */
import type { World } from './world.ts';

/** Makes ImagePolicies of this sandbox keep `status.latestImage`, as those of Flux before 2.7 did. */
export async function withLatestImage({ admin }: World): Promise<void> {
  type Definition = {
    spec: {
      versions: { schema: { openAPIV3Schema: { properties: { status: { properties: Record<string, object> } } } } }[];
    };
  };
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagepolicies.image.toolkit.fluxcd.io';
  const { versions } = (await admin.get<Definition>(path)).spec;
  for (const { schema } of versions)
    schema.openAPIV3Schema.properties.status.properties.latestImage = { type: 'string' };
  await admin.patch(path, { spec: { versions } });
}
