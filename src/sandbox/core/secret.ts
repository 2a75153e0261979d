/** Secrets. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/ */
import { JsonProblem, parseJson, typeNameOf } from '../api/json.ts';
import type { Kind } from '../api/kind.ts';
import type { JsonObject, KubeObject } from '../object.ts';
import { flag, map, text } from '../schema/node.ts';
import type { Cause } from '../status.ts';
import { builtin } from './builtin.ts';
import { immutable, invalidValue, required, tooLong } from './causes.ts';
import { ageColumn, column } from './columns.ts';
import { decodedBytes, frozenCauses, maxDataBytes } from './configmap.ts';
import { configKey, formatted } from './formats.ts';
import { isObject, objectIn, textIn } from './reading.ts';
import { bytes, optional } from './typed.ts';

/** `secrets`. */
export function secretKind(): Kind {
  return builtin({
    group: '',
    version: 'v1',
    kind: 'Secret',
    plural: 'secrets',
    namespaced: true,
    fields: { data: map(bytes()), stringData: map(text()), type: text(), immutable: optional(flag()) },
    defaults: takeInText,
    columns: [
      column('Type', 'What its data is for', ({ type }) => textIn(type)),
      column('Data', 'Number of keys', ({ data }) => Object.keys(objectIn(data)).length),
      ageColumn,
    ],
    strategy: {
      prepareForUpdate(secret, old) {
        // Clients that leave the type out mean the one it has.
        if (secret.type === undefined && old.type !== undefined) secret.type = old.type;
      },
      validate(secret, old) {
        const changed = old !== undefined && secret.type !== old.type;
        return [
          ...(changed ? [immutable('type', secret.type)] : []),
          ...frozenCauses(secret, old, ['data']),
          ...dataCauses(secret),
          ...typeCauses(secret),
        ];
      },
      fields: ({ type }) => ({ type: textIn(type) }),
    },
  });
}

/** `stringData` is never kept: each of its keys becomes one of `data`. */
function takeInText(secret: KubeObject): void {
  const texts = Object.entries(objectIn(secret.stringData));
  if (texts.length > 0) {
    const encoded = texts.map(([key, value]) => [key, Buffer.from(textIn(value)).toString('base64')] as const);
    secret.data = { ...objectIn(secret.data), ...Object.fromEntries(encoded) };
  }
  delete secret.stringData;
  if (textIn(secret.type) === '') secret.type = 'Opaque';
}

function dataCauses({ data }: KubeObject): Cause[] {
  const causes: Cause[] = [];
  let total = 0;
  for (const [key, value] of Object.entries(objectIn(data))) {
    causes.push(...formatted(`data[${key}]`, key, configKey));
    total += decodedBytes(textIn(value));
  }
  if (total > maxDataBytes) causes.push(tooLong('data', maxDataBytes));
  return causes;
}

/** What each well-known type asks for. https://kubernetes.io/docs/concepts/configuration/secret/#secret-types */
function typeCauses(secret: KubeObject): Cause[] {
  const data = objectIn(secret.data);
  const missing = (keys: readonly string[]) =>
    keys.filter((key) => !(key in data)).map((key) => required(`data[${key}]`));
  switch (secret.type) {
    case 'kubernetes.io/service-account-token': {
      const name = 'kubernetes.io/service-account.name';
      return textIn(secret.metadata.annotations?.[name]) === '' ? [required(`metadata.annotations[${name}]`)] : [];
    }
    case 'kubernetes.io/dockercfg':
      return registryCauses(data, '.dockercfg');
    case 'kubernetes.io/dockerconfigjson':
      return registryCauses(data, '.dockerconfigjson');
    case 'kubernetes.io/basic-auth': {
      const keys = ['username', 'password'];
      return keys.some((key) => key in data) ? [] : missing(keys);
    }
    case 'kubernetes.io/ssh-auth':
      return textIn(data['ssh-privatekey']) === '' ? [required('data[ssh-privatekey]')] : [];
    case 'kubernetes.io/tls':
      return missing(['tls.crt', 'tls.key']);
    default:
      return [];
  }
}

function registryCauses(data: JsonObject, key: string): Cause[] {
  const encoded = data[key];
  if (encoded === undefined) return [required(`data[${key}]`)];
  const written = Buffer.from(textIn(encoded), 'base64').toString();
  const why = unreadable(written);
  return why === undefined ? [] : [invalidValue(`data[${key}]`, '<secret contents redacted>', why)];
}

/** Why the server cannot read `written` as a JSON object; undefined when it can. */
function unreadable(written: string): string | undefined {
  try {
    const value = parseJson(written);
    if (value === null || isObject(value)) return undefined;
    return `json: cannot unmarshal ${typeNameOf(value)} into Go value of type map[string]interface {}`;
  } catch (error) {
    if (error instanceof JsonProblem) return error.message;
    throw error;
  }
}
