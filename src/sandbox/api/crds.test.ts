/** Definitions become kinds. What is refused is in `schema/recorded.test.ts`; what happens over HTTPS in `test/contract`. */
import assert from 'node:assert/strict';
import type { Json, JsonObject, KubeObject } from '../object.ts';
import type { SchemaNode } from '../schema/node.ts';
import { StatusError } from '../status.ts';
import { createCrdKind } from './crds.ts';
import type { Kind, Registry, Strategy } from './kind.ts';
import { createRegistry } from './registry.ts';

const version = (name: string, more: JsonObject = {}, spec: SchemaNode = { type: 'object' }): JsonObject => ({
  name,
  served: true,
  storage: name === 'v1',
  schema: { openAPIV3Schema: { type: 'object', properties: { spec: spec as Json, status: { type: 'object' } } } },
  subresources: { status: {} },
  ...more,
});

function definition(plural: string, kind: string, versions: Json[], names: JsonObject = {}): KubeObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.example.com` },
    spec: { group: 'example.com', scope: 'Namespaced', names: { plural, kind, ...names }, versions },
  } as unknown as KubeObject;
}

/** A registry that knows of definitions, and a way to create and change them as the verbs do. */
function world(extras = new Map<string, Partial<Strategy>>()) {
  const registry = createRegistry();
  const crds = createCrdKind({ registry, extras });
  const schema = crds.versions[0]?.schema;
  function take(object: KubeObject, old?: KubeObject): KubeObject {
    schema?.prune(object);
    schema?.applyDefaults(object);
    if (old === undefined) crds.strategy.prepareForCreate?.(object);
    else crds.strategy.prepareForUpdate?.(object, old);
    assert.deepEqual(crds.strategy.validate?.(object, old, ''), []);
    crds.strategy.stored?.(object, old);
    return object;
  }
  return { registry, crds, take };
}

function find(registry: Registry, plural: string, served = 'v1'): Kind {
  const found = registry.find('example.com', served, plural)?.kind;
  assert.ok(found, `${plural} are not served in ${served}`);
  return found;
}

describe('a definition', () => {
  it('is served at once, with its defaults', () => {
    const { registry, take } = world();
    const names = { shortNames: ['wd'], categories: ['all'] };
    take(definition('widgets', 'Widget', [version('v1')], names));
    const { singular, listKind, shortNames, categories, namespaced, statusSubresource, storageVersion } = find(
      registry,
      'widgets',
    );
    assert.deepEqual(
      { singular, listKind, shortNames, categories, namespaced, statusSubresource, storageVersion },
      {
        singular: 'widget',
        listKind: 'WidgetList',
        shortNames: ['wd'],
        categories: ['all'],
        namespaced: true,
        statusSubresource: true,
        storageVersion: 'v1',
      },
    );
  });

  it('changes its kind, and takes it away', () => {
    const { registry, crds, take } = world();
    const first = take(definition('widgets', 'Widget', [version('v1')]));
    const changed = structuredClone(first);
    changed.spec = { ...(first.spec as JsonObject), versions: [version('v1'), version('v2')] };
    take(changed, first);
    assert.deepEqual(
      find(registry, 'widgets').versions.map((one) => one.version),
      ['v2', 'v1'],
    );
    crds.strategy.stored?.(undefined, changed);
    assert.deepEqual(registry.kinds(), []);
  });

  it('changes nothing that is served when only its metadata changes', () => {
    const { registry, crds, take } = world();
    const first = take(definition('widgets', 'Widget', [version('v1')]));
    const before = registry.revision;
    crds.strategy.stored?.({ ...first, metadata: { ...first.metadata, labels: { a: 'b' } } }, first);
    assert.equal(registry.revision, before);
  });

  it('is not served under names that another kind of its group has', () => {
    const { registry, take } = world();
    take(definition('widgets', 'Widget', [version('v1')]));
    take(definition('gadgets', 'Widget', [version('v1')], { singular: 'gadget', listKind: 'GadgetList' }));
    assert.equal(registry.find('example.com', 'v1', 'gadgets'), undefined);
    assert.equal(find(registry, 'widgets').kind, 'Widget');
  });

  it('serves versions by priority, those that are served', () => {
    const { registry, take } = world();
    const names = ['v1alpha1', 'v1beta2', 'v1', 'v10', 'v1beta1', 'odd'];
    take(definition('widgets', 'Widget', [...names.map((name) => version(name)), version('v11', { served: false })]));
    const served = find(registry, 'widgets').versions.map((one) => one.version);
    assert.deepEqual(served, ['v10', 'v1', 'v1beta2', 'v1beta1', 'v1alpha1', 'odd']);
  });

  it('warns of deprecated versions', () => {
    const { registry, take } = world();
    const old = version('v1beta1', { deprecated: true });
    const older = version('v1alpha1', { deprecated: true, deprecationWarning: 'gone soon' });
    take(definition('widgets', 'Widget', [version('v1'), old, older]));
    const warnings = find(registry, 'widgets').versions.map(({ deprecationWarning }) => deprecationWarning);
    assert.deepEqual(warnings, [
      undefined,
      'example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget',
      'gone soon',
    ]);
  });

  it('keeps the names of versions that objects are stored in', () => {
    const { crds, take } = world();
    const first = take(definition('widgets', 'Widget', [version('v1')]));
    const moved = structuredClone(first);
    const versions = [version('v1', { storage: false }), version('v2', { storage: true })];
    moved.spec = { ...(first.spec as JsonObject), versions };
    take(moved, first);
    assert.deepEqual((moved.status as JsonObject).storedVersions, ['v1', 'v2']);
    const gone = structuredClone(moved);
    gone.spec = { ...(first.spec as JsonObject), versions: [version('v2', { storage: true })] };
    const [cause] = crds.strategy.validate?.(gone, moved, '') ?? [];
    assert.equal(cause?.field, 'status.storedVersions[0]');
  });

  it('is marked, when it is deleted, to wait for its objects', () => {
    const { crds, take } = world();
    const marked = crds.strategy.prepareForDelete?.(
      take(definition('widgets', 'Widget', [version('v1')])),
      Date.UTC(2026, 0, 2),
    );
    assert.deepEqual(marked?.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io']);
    assert.ok(marked);
    const [condition] = (marked.status as { conditions: JsonObject[] }).conditions;
    assert.deepEqual(
      [condition?.type, condition?.reason, condition?.lastTransitionTime],
      ['Terminating', 'InstanceDeletionPending', '2026-01-02T00:00:00Z'],
    );
  });
});

describe('a kind that is defined', () => {
  const widget = (more: JsonObject = {}): KubeObject =>
    ({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, ...more }) as unknown as KubeObject;

  it('drops the status of what is created, and keeps it on updates', () => {
    const { registry, take } = world();
    take(definition('widgets', 'Widget', [version('v1')]));
    const { strategy } = find(registry, 'widgets');
    const created = widget({ spec: {}, status: { phase: 'x' } });
    strategy.prepareForCreate?.(created);
    assert.equal(created.status, undefined);
    const updated = widget({ spec: {}, status: { phase: 'y' } });
    strategy.prepareForUpdate?.(updated, widget({ status: { phase: 'x' } }));
    assert.deepEqual(updated.status, { phase: 'x' });
  });

  it('has a generation that all but metadata and status moves', () => {
    const { registry, take } = world();
    take(definition('widgets', 'Widget', [version('v1')]));
    const moves = find(registry, 'widgets').strategy.generationMoves;
    const before = widget({ spec: { a: 1 }, status: { b: 1 } });
    assert.equal(moves?.(widget({ spec: { a: 1 }, status: { b: 2 } }), before), false);
    assert.equal(moves?.({ ...before, metadata: { ...before.metadata, labels: { c: 'd' } } }, before), false);
    assert.equal(moves?.(widget({ spec: { a: 2 }, status: { b: 1 } }), before), true);
    assert.equal(moves?.(widget({ spec: { a: 1 }, status: { b: 1 }, data: 1 }), before), true);
  });

  it('is converted by changing its version, and pruned', () => {
    const { registry, take } = world();
    const narrow = version('v2', {}, { type: 'object', properties: { a: { type: 'string' } } });
    const wide = version('v1', {}, { type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
    take(definition('widgets', 'Widget', [wide, narrow]));
    const original = widget({ spec: { a: '1', b: '2' } });
    const converted = find(registry, 'widgets').strategy.convert?.(original, 'v2');
    assert.deepEqual([converted?.apiVersion, converted?.spec], ['example.com/v2', { a: '1' }]);
    assert.deepEqual(original.spec, { a: '1', b: '2' });
  });

  it('does what webhooks would do', () => {
    const admit = () => {
      throw new StatusError(400, 'BadRequest', 'not today');
    };
    const { registry, take } = world(new Map([['widgets.example.com', { admit }]]));
    take(definition('widgets', 'Widget', [version('v1')]));
    assert.throws(() => find(registry, 'widgets').strategy.admit?.(widget(), undefined), /not today/);
  });

  it('can be selected by the fields that it names', () => {
    const { registry, take } = world();
    const fields = { selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }] };
    const spec: SchemaNode = { type: 'object', properties: { color: { type: 'string' }, size: { type: 'integer' } } };
    take(definition('widgets', 'Widget', [version('v1', fields, spec)]));
    const values = find(registry, 'widgets').strategy.fields;
    assert.deepEqual(values?.(widget({ spec: { size: 3 } })), { 'spec.color': '', 'spec.size': '3' });
  });

  it('takes no new objects while its definition is being deleted', () => {
    const { registry, crds, take } = world();
    const first = take(definition('widgets', 'Widget', [version('v1')]));
    const dying = { ...first, metadata: { ...first.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    crds.strategy.stored?.(dying, first);
    assert.throws(
      () => find(registry, 'widgets').strategy.prepareForCreate?.(widget()),
      /create not allowed while custom resource definition is terminating/,
    );
  });

  it('has the columns of its version', () => {
    const { registry, take } = world();
    const column = (name: string, type: string, jsonPath: string) => ({ name, type, jsonPath });
    const additionalPrinterColumns = [
      column('Color', 'string', '.spec.color'),
      column('Size', 'integer', '.spec.size'),
      column('Since', 'date', '.metadata.creationTimestamp'),
      column('Ready', 'string', '.status.conditions[?(@.type=="Ready")].status'),
      column('Whole', 'string', '.spec'),
      column('Wrong', 'integer', '.spec.color'),
      column('Odd', 'date', '.spec.color'),
    ];
    const spec: SchemaNode = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    take(definition('widgets', 'Widget', [version('v1', { additionalPrinterColumns }, spec)]));
    const object = widget({
      spec: { size: 3.7, color: 'red' },
      status: { conditions: [{ type: 'Done' }, { type: 'Ready', status: 'True' }] },
    });
    object.metadata.creationTimestamp = '2026-01-01T00:00:00Z';
    const { versions } = find(registry, 'widgets');
    const cells = versions[0]?.columns.map((one) => one.cell(object, Date.UTC(2026, 0, 1, 3)));
    assert.deepEqual(cells, ['red', 3, '3h', 'True', '{"color":"red","size":3.7}', null, '<invalid>']);
    assert.deepEqual(
      versions[0]?.columns.map((one) => one.cell(widget(), 0)),
      [null, null, null, null, null, null, null],
    );
  });
});
