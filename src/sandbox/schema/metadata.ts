/** The schema of `metadata`, which is the same for every kind. */
import { anyObject, flag, int64, list, listAsSet, map, object, type SchemaNode, text, time } from './node.ts';

/**
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
 * Nothing is required: what must be there is checked with the object's name and namespace at hand.
 */
export const metadataNode: SchemaNode = object(
  {
    name: text(),
    generateName: text(),
    namespace: text(),
    selfLink: text(),
    uid: text(),
    resourceVersion: text(),
    generation: int64(),
    creationTimestamp: time(),
    deletionTimestamp: time(),
    deletionGracePeriodSeconds: int64(),
    labels: map(text()),
    annotations: map(text()),
    ownerReferences: list(
      object(
        {
          apiVersion: text(),
          kind: text(),
          name: text(),
          uid: text(),
          controller: flag(),
          blockOwnerDeletion: flag(),
        },
        {
          typeName: 'io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference',
          required: ['apiVersion', 'kind', 'name', 'uid'],
          'x-kubernetes-map-type': 'atomic',
        },
      ),
      {
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['uid'],
        'x-kubernetes-patch-strategy': 'merge',
        'x-kubernetes-patch-merge-key': 'uid',
      },
    ),
    finalizers: listAsSet(text()),
    managedFields: list(
      object(
        {
          manager: text(),
          operation: text(),
          apiVersion: text(),
          time: time(),
          fieldsType: text(),
          fieldsV1: anyObject({ typeName: 'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1' }),
          subresource: text(),
        },
        { typeName: 'io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry' },
      ),
    ),
  },
  { typeName: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' },
);
