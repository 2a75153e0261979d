/** What Tekton's Tasks, Pipelines and runs have in common. https://tekton.dev/docs/pipelines/pipeline-api/ */
import { anything, flag, list, map, object, text } from '../schema/node.ts';

/** A time span as Go writes it, `1h0m0s`. To a schema it is any text; Tekton's webhook knows such fields by this node. */
export const duration = text();

/** A text, a list of texts or an object of texts. To a schema it is anything; the webhook knows such fields by this node. */
export const paramValue = anything();

/** A list of texts. */
export const texts = list(text());

/** A parameter, or a result that is reported, with whatever JSON value it has. */
export const params = list(object({ name: text(), value: paramValue }, { required: ['name', 'value'] }));
/** Declared parameters. */
export const paramSpecs = list(
  object(
    {
      default: paramValue,
      description: text(),
      enum: texts,
      name: text(),
      properties: map(object({ type: text() })),
      type: text(),
    },
    { required: ['name'] },
  ),
);
/** Conditions. */
export const when = list(object({ cel: text(), input: text(), operator: text(), values: texts }));

/** A reference to something with a name here, or that a resolver finds. */
export const reference = { apiVersion: text(), name: text(), params, resolver: text() };
/** v1beta1 still has the field of OCI bundles, which v1 says with a resolver. */
export const olderReference = { ...reference, bundle: text() };

/** Workspaces that a Pipeline wants. */
export const workspaceDeclarations = list(
  object({ description: text(), name: text(), optional: flag() }, { required: ['name'] }),
);
/** Workspaces that a Task wants, and where. */
export const mountedWorkspaces = list(
  object(
    { description: text(), mountPath: text(), name: text(), optional: flag(), readOnly: flag() },
    { required: ['name'] },
  ),
);
/** Workspaces that only some steps of a Task see. */
export const workspaceUsages = list(object({ mountPath: text(), name: text() }, { required: ['mountPath', 'name'] }));
