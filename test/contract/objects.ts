/** Objects that many cases need, as a user would write them. */
import type { Json, JsonObject } from '../../src/sandbox/object.ts';

/** Collections of the suite's namespace. */
export const paths = {
  configMaps: '/api/v1/namespaces/NS/configmaps',
  secrets: '/api/v1/namespaces/NS/secrets',
  serviceAccounts: '/api/v1/namespaces/NS/serviceaccounts',
  pods: '/api/v1/namespaces/NS/pods',
  events: '/api/v1/namespaces/NS/events',
  claims: '/api/v1/namespaces/NS/persistentvolumeclaims',
  leases: '/apis/coordination.k8s.io/v1/namespaces/NS/leases',
  roles: '/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles',
  roleBindings: '/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings',
  definitions: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  widgets: '/apis/GROUP/v1/namespaces/NS/widgets',
} as const;

/** A ConfigMap. */
export function configMap(name: string, data: JsonObject = {}, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

/** A pod of one container that runs a shell script; the sandbox runs it here, so no script names an absolute path. */
export function pod(name: string, script: string, spec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: 'docker.io/library/busybox:1', command: ['sh', '-c', script] }],
      ...spec,
    },
  };
}

/** A pod that no node will take, so that nothing but requests changes it. */
export function unschedulable(name: string, spec: JsonObject = {}): JsonObject {
  return pod(name, 'true', { nodeSelector: { 'test.rungate.dev/nowhere': 'true' }, ...spec });
}

/** A CustomResourceDefinition of the suite's group with one version, `v1`, of this schema. */
export function definition(
  plural: string,
  kind: string,
  schema: Json,
  version: JsonObject = {},
  spec: JsonObject = {},
): JsonObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.GROUP` },
    spec: {
      group: 'GROUP',
      scope: 'Namespaced',
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, ...version }],
      ...spec,
    },
  };
}

/** The schema of widgets: a bit of everything that schemas can say. */
export const widgetSchema: Json = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 10 },
        colour: { type: 'string', enum: ['red', 'green'], default: 'red' },
        title: { type: 'string', maxLength: 8, pattern: '^[a-z]+$' },
        ratio: { type: 'number', multipleOf: 0.5 },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set', maxItems: 3 },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, count: { type: 'integer', default: 1 }, note: { type: 'string' } },
          },
        },
        port: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        limits: { type: 'object', additionalProperties: { type: 'integer' } },
        maybe: { type: 'string', nullable: true },
        enabled: { type: 'boolean' },
        due: { type: 'string', format: 'date-time' },
      },
      'x-kubernetes-validations': [
        { rule: "!has(self.title) || self.title != 'forbidden'", message: 'that title is taken' },
        {
          rule: 'self.size <= 5 || (has(self.enabled) && self.enabled)',
          messageExpression: "self.size > 8 ? 'a large size wants enabled' : 'a middle size wants enabled'",
        },
        {
          rule: 'self.size >= oldSelf.size',
          message: 'size must not shrink',
          reason: 'FieldValueForbidden',
          fieldPath: '.size',
        },
      ],
    },
    status: { type: 'object', properties: { phase: { type: 'string' }, seen: { type: 'integer' } } },
  },
};

/** Widgets: with status, columns, short name and a selectable field. */
export const widgets: JsonObject = definition(
  'widgets',
  'Widget',
  widgetSchema,
  {
    subresources: { status: {} },
    selectableFields: [{ jsonPath: '.spec.colour' }],
    additionalPrinterColumns: [
      { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
      { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where it stands.' },
      { name: 'Parts', type: 'string', jsonPath: '.spec.parts[*].name', priority: 1 },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  },
  {
    names: {
      plural: 'widgets',
      singular: 'widget',
      kind: 'Widget',
      listKind: 'WidgetList',
      shortNames: ['wg'],
      categories: ['all'],
    },
  },
);

/** A widget. */
export function widget(name: string, spec: JsonObject = { size: 1 }, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: 'GROUP/v1', kind: 'Widget', metadata: { name, ...metadata }, spec };
}
