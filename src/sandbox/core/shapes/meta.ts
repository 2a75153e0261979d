/** What objects of every kind have, and how they point at one another. */
import { list, map, text } from '../../schema/node.ts';
import { always, optional, orNull, struct } from '../typed.ts';

/** One expression of a label selector. */
export const labelSelectorRequirement = struct(
  'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement',
  { key: always(text()), operator: always(text()), values: list(text()) },
  { required: ['key', 'operator'] },
);

/** Which objects are meant, by their labels. */
export const labelSelector = struct(
  'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector',
  { matchExpressions: list(labelSelectorRequirement), matchLabels: map(text()) },
  { 'x-kubernetes-map-type': 'atomic' },
);

/** An object of the same namespace whose kind is known. */
export const localObjectReference = struct(
  'LocalObjectReference',
  { name: text() },
  { 'x-kubernetes-map-type': 'atomic' },
);

/** An object of the same namespace. */
export const typedLocalObjectReference = struct(
  'TypedLocalObjectReference',
  { apiGroup: orNull(text()), kind: always(text()), name: always(text()) },
  { required: ['kind', 'name'], 'x-kubernetes-map-type': 'atomic' },
);

/** An object, of another namespace perhaps. */
export const typedObjectReference = struct(
  'TypedObjectReference',
  { apiGroup: orNull(text()), kind: always(text()), name: always(text()), namespace: optional(text()) },
  { required: ['kind', 'name'] },
);

/** An object as events and service accounts name it. */
export const objectReference = struct(
  'ObjectReference',
  {
    apiVersion: text(),
    fieldPath: text(),
    kind: text(),
    name: text(),
    namespace: text(),
    resourceVersion: text(),
    uid: text(),
  },
  { 'x-kubernetes-map-type': 'atomic' },
);
