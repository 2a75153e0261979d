/**
 * The schema of schemas: what may stand in a CRD's `openAPIV3Schema`. It is recursive, which no compiled schema is, so it is
 * decoded level by level.
 * https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/#JSONSchemaProps
 */
import type { Json, JsonObject } from '../object.ts';
import { compileDecoding, type Decode, type Place } from './decode.ts';
import { anything, flag, int64, list, map, object, type SchemaNode, text } from './node.ts';
import { fieldBelow } from './wording.ts';

const number = (): SchemaNode => ({ type: 'number', format: 'double' });

/** One level; the schemas within are anything here. */
const levelNode: SchemaNode = object({
  id: text(),
  $schema: text(),
  $ref: text(),
  description: text(),
  type: text(),
  format: text(),
  title: text(),
  default: anything(),
  maximum: number(),
  exclusiveMaximum: flag(),
  minimum: number(),
  exclusiveMinimum: flag(),
  maxLength: int64(),
  minLength: int64(),
  pattern: text(),
  maxItems: int64(),
  minItems: int64(),
  uniqueItems: flag(),
  multipleOf: number(),
  enum: list(anything()),
  maxProperties: int64(),
  minProperties: int64(),
  required: list(text()),
  items: anything(),
  allOf: list(anything()),
  oneOf: list(anything()),
  anyOf: list(anything()),
  not: anything(),
  properties: map(anything()),
  additionalProperties: anything(),
  patternProperties: map(anything()),
  dependencies: map(anything()),
  additionalItems: anything(),
  definitions: map(anything()),
  externalDocs: object(
    { description: text(), url: text() },
    { typeName: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ExternalDocumentation' },
  ),
  example: anything(),
  nullable: flag(),
  'x-kubernetes-preserve-unknown-fields': flag(),
  'x-kubernetes-embedded-resource': flag(),
  'x-kubernetes-int-or-string': flag(),
  'x-kubernetes-list-map-keys': list(text()),
  'x-kubernetes-list-type': text(),
  'x-kubernetes-map-type': text(),
  'x-kubernetes-validations': list(
    object(
      {
        rule: text(),
        message: text(),
        messageExpression: text(),
        reason: text(),
        fieldPath: text(),
        optionalOldSelf: flag(),
      },
      { typeName: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ValidationRule' },
    ),
  ),
});

const decodeLevel = compileDecoding(levelNode, 'JSONSchemaProps');

/** Decodes a schema with all the schemas in it, in place. Throws an Undecodable. */
export const decodeJsonSchema: Decode = (value, place, unknown) => {
  const schema = decodeLevel(value, place, unknown);
  if (!isObject(schema)) return schema;
  for (const name of ['allOf', 'oneOf', 'anyOf']) {
    const branches = schema[name];
    if (!Array.isArray(branches)) continue;
    for (const [at, branch] of branches.entries()) decodeWithin(branch, place, name, unknown, `${name}[${at}]`);
  }
  for (const name of ['not', 'items', 'additionalProperties', 'additionalItems']) {
    const within = schema[name];
    if (isObject(within)) decodeWithin(within, place, name, unknown);
  }
  for (const name of ['properties', 'patternProperties', 'definitions']) {
    const fields = schema[name];
    if (!isObject(fields)) continue;
    for (const [field, within] of Object.entries(fields)) {
      decodeWithin(within ?? null, place, name, unknown, `${name}.${field}`);
    }
  }
  return schema;
};

function decodeWithin(value: Json, place: Place, field: string, unknown: string[], step = field): void {
  const below = { ...place, field: fieldBelow(place.field, field), path: fieldBelow(place.path, step) };
  decodeJsonSchema(value, below, unknown);
}

function isObject(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
