/** Deleting objects: answers, preconditions, finalizers, owners, grace. */
import type { JsonObject } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import type { Told } from './conversation.ts';
import { configMap, paths, pod, unschedulable, widget, widgets } from './objects.ts';
import { names, only } from './show.ts';

const { configMaps, pods } = paths;
const hold = { finalizers: ['test.rungate.dev/hold'] };
const owned = (name: string, owner: Told, more: JsonObject = {}) =>
  configMap(
    name,
    {},
    {
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          name: owner.at('metadata.name'),
          uid: owner.at('metadata.uid'),
          ...more,
        },
      ],
    },
  );
const gone = ({ status }: Told) => status === 404;
const leaving = only(
  'metadata.deletionTimestamp',
  'metadata.deletionGracePeriodSeconds',
  'metadata.finalizers',
  'metadata.ownerReferences',
);

contract(
  'delete',
  {
    'a deletion answers Success with what was deleted': async (api) => {
      await api.given.post(configMaps, configMap('plain'));
      await api.remove(`${configMaps}/plain`);
      await api.get(`${configMaps}/plain`);
    },
    'a deletion of a custom object, too': async (api) => {
      await api.given.post(paths.widgets, widget('plain'));
      await api.remove(`${paths.widgets}/plain`);
    },
    'a deletion of a lease names its group': async (api) => {
      await api.given.post(paths.leases, { metadata: { name: 'plain' } });
      await api.remove(`${paths.leases}/plain`);
    },
    'some kinds answer with the object': async (api) => {
      await api.given.post(paths.serviceAccounts, { metadata: { name: 'robot' } });
      await api.remove(`${paths.serviceAccounts}/robot`);
      await api.given.post(paths.secrets, { metadata: { name: 'plain' } });
      await api.remove(`${paths.secrets}/plain`);
    },
    'what does not exist is not found': async (api) => {
      await api.remove(`${configMaps}/absent`);
      await api.remove(`${paths.widgets}/absent`);
    },
    'a deleted name is free again': async (api) => {
      await api.post(configMaps, configMap('again'), only('metadata.uid'));
      await api.given.remove(`${configMaps}/again`);
      await api.post(configMaps, configMap('again'), only('metadata.uid'));
    },
    'preconditions: the uid must be that of the object': async (api) => {
      await api.given.post(configMaps, configMap('uid'));
      await api.remove(`${configMaps}/uid`, { preconditions: { uid: '11111111-2222-3333-4444-555555555555' } });
      const there = await api.get(`${configMaps}/uid`, only('metadata.uid'));
      await api.remove(`${configMaps}/uid`, { preconditions: { uid: there.at('metadata.uid') } });
    },
    'preconditions: the version must be that of the object': async (api) => {
      const made = await api.post(configMaps, configMap('version'), only('metadata.resourceVersion'));
      await api.given.patch(`${configMaps}/version`, 'merge', { data: { a: '1' } });
      await api.remove(`${configMaps}/version`, {
        preconditions: { resourceVersion: made.at('metadata.resourceVersion') },
      });
    },
    'a finalizer holds the object': async (api) => {
      await api.given.post(configMaps, configMap('held', { a: '1' }, hold));
      await api.remove(`${configMaps}/held`);
      await api.get(`${configMaps}/held`, leaving);
      await api.patch(`${configMaps}/held`, 'merge', { metadata: { finalizers: [] } });
      await api.get(`${configMaps}/held`);
    },
    'a second deletion of what is held changes nothing': async (api) => {
      await api.given.post(configMaps, configMap('twice', {}, hold));
      await api.remove(`${configMaps}/twice`, undefined, only('metadata.resourceVersion'));
      await api.remove(`${configMaps}/twice`, undefined, only('metadata.resourceVersion'));
      await api.given.patch(`${configMaps}/twice`, 'merge', { metadata: { finalizers: null } });
    },
    'a held object can still be changed, and not be made again': async (api) => {
      await api.given.post(configMaps, configMap('busy', {}, hold));
      await api.given.remove(`${configMaps}/busy`);
      await api.patch(`${configMaps}/busy`, 'merge', { data: { a: '1' } }, only('data'));
      await api.post(configMaps, configMap('busy'));
      await api.given.patch(`${configMaps}/busy`, 'merge', { metadata: { finalizers: null } });
    },
    'a held custom object': async (api) => {
      await api.given.post(paths.widgets, widget('held', { size: 1 }, hold));
      await api.remove(
        `${paths.widgets}/held`,
        undefined,
        only('metadata.generation', 'metadata.deletionGracePeriodSeconds', 'metadata.finalizers'),
      );
      await api.patch(
        `${paths.widgets}/held`,
        'merge',
        { metadata: { finalizers: null } },
        only('metadata.generation', 'metadata.finalizers'),
      );
      await api.get(`${paths.widgets}/held`);
    },
    'a dry run of a deletion keeps the object': async (api) => {
      await api.given.post(configMaps, configMap('dry'));
      await api.remove(`${configMaps}/dry?dryRun=All`);
      await api.remove(`${configMaps}/dry`, { dryRun: ['All'] });
      await api.get(`${configMaps}/dry`, only('metadata.name'));
    },
    'propagation: three words': async (api) => {
      await api.given.post(configMaps, configMap('words'));
      await api.remove(`${configMaps}/words`, { propagationPolicy: 'Sometimes' });
      await api.remove(`${configMaps}/words?propagationPolicy=Sometimes`);
      await api.remove(`${configMaps}/words`, { propagationPolicy: 'Background', orphanDependents: true });
    },
    'propagation Orphan: what is owned stays and loses its owner': async (api) => {
      const owner = await api.given.post(configMaps, configMap('orphan-owner'));
      await api.given.post(configMaps, owned('orphan', owner));
      await api.remove(`${configMaps}/orphan-owner`, { propagationPolicy: 'Orphan' }, leaving);
      await api.until(`${configMaps}/orphan-owner`, gone);
      await api.get(`${configMaps}/orphan`, leaving);
    },
    'propagation Foreground: the owner waits for what it owns': async (api) => {
      const owner = await api.given.post(configMaps, configMap('foreground-owner'));
      const child = owned('foreground-child', owner, { blockOwnerDeletion: true });
      await api.given.post(configMaps, { ...child, metadata: { ...(child.metadata as JsonObject), ...hold } });
      await api.remove(`${configMaps}/foreground-owner`, { propagationPolicy: 'Foreground' }, leaving);
      await api.until(`${configMaps}/foreground-child`, ({ body }) =>
        JSON.stringify(body).includes('deletionTimestamp'),
      );
      await api.get(`${configMaps}/foreground-owner`, leaving);
      await api.given.patch(`${configMaps}/foreground-child`, 'merge', { metadata: { finalizers: null } });
      await api.until(`${configMaps}/foreground-owner`, gone);
    },
    'propagation Background: what is owned goes after its owner': async (api) => {
      const owner = await api.given.post(configMaps, configMap('background-owner'));
      const child = await api.given.post(configMaps, owned('background-child', owner));
      await api.given.post(configMaps, owned('background-grandchild', child));
      await api.remove(`${configMaps}/background-owner`, { propagationPolicy: 'Background' });
      await api.until(`${configMaps}/background-grandchild`, gone);
      await api.get(`${configMaps}/background-child`);
    },
    'without a word what is owned goes, too': async (api) => {
      const owner = await api.given.post(configMaps, configMap('default-owner'));
      await api.given.post(paths.widgets, {
        ...widget('default-child'),
        metadata: { name: 'default-child', ...refersTo(owner) },
      });
      await api.remove(`${configMaps}/default-owner`);
      await api.until(`${paths.widgets}/default-child`, gone);
    },
    'an owner that never was: what it owns goes': async (api) => {
      const ownerReferences = [
        { apiVersion: 'v1', kind: 'ConfigMap', name: 'never', uid: '11111111-2222-3333-4444-555555555555' },
      ];
      await api.post(configMaps, configMap('fatherless', {}, { ownerReferences }), only('metadata.ownerReferences'));
      await api.until(`${configMaps}/fatherless`, gone);
    },
    'an object with two owners stays until both are gone': async (api) => {
      const first = await api.given.post(configMaps, configMap('two-first'));
      const second = await api.given.post(configMaps, configMap('two-second'));
      const ownerReferences = [refersTo(first), refersTo(second)].flatMap((each) => each.ownerReferences);
      await api.given.post(configMaps, configMap('two-owned', {}, { ownerReferences }));
      await api.given.remove(`${configMaps}/two-first`);
      await api.until(`${configMaps}/two-owned`, ({ body }) => !JSON.stringify(body).includes('two-first'));
      await api.get(`${configMaps}/two-owned`, leaving);
      await api.given.remove(`${configMaps}/two-second`);
      await api.until(`${configMaps}/two-owned`, gone);
    },
    'a collection is deleted by selector': async (api) => {
      const labels = { set: 'collection' };
      await api.given.post(configMaps, configMap('collection-a', {}, { labels }));
      await api.given.post(configMaps, configMap('collection-b', {}, { labels }));
      await api.given.post(configMaps, configMap('collection-c', {}, { labels: { set: 'other' } }));
      await api.remove(`${configMaps}?labelSelector=set%3Dcollection`);
      await api.get(`${configMaps}?labelSelector=set+in+(collection,other)`, names);
    },
    'a collection of nothing is deleted, too': async (api) => {
      await api.remove(`${configMaps}?labelSelector=set%3Dnothing`);
      await api.remove(`${paths.widgets}?labelSelector=set%3Dnothing`);
    },
    'a collection is deleted as its kind is': async (api) => {
      const labels = { set: 'held-collection' };
      await api.given.post(configMaps, configMap('held-collection', {}, { labels, ...hold }));
      await api.remove(`${configMaps}?labelSelector=set%3Dheld-collection&dryRun=All`, undefined, names);
      await api.remove(`${configMaps}?labelSelector=set%3Dheld-collection`, undefined, names);
      await api.get(`${configMaps}/held-collection`, leaving);
      await api.given.patch(`${configMaps}/held-collection`, 'merge', { metadata: { finalizers: null } });
    },
    'a collection cannot be deleted by a mistake': async (api) => {
      await api.remove(`${configMaps}?labelSelector=a%20b`);
      await api.remove(`${configMaps}?fieldSelector=data.x%3Dy`);
    },
    'options of a deletion are checked': async (api) => {
      await api.given.post(configMaps, configMap('options'));
      await api.remove(`${configMaps}/options`, { apiVersion: 'v1', kind: 'ConfigMap' });
      await api.remove(`${configMaps}/options`, { gracePeriodSeconds: 'soon' });
      await api.remove(`${configMaps}/options`, 'not json', { headers: { 'Content-Type': 'application/json' } });
      await api.remove(`${configMaps}/options?gracePeriodSeconds=soon`);
      await api.remove(`${configMaps}/options?dryRun=Some`);
    },
    'options of a deletion may say what they are': async (api) => {
      for (const apiVersion of ['v1', 'meta.k8s.io/v1']) {
        await api.given.post(configMaps, configMap('said'));
        await api.remove(`${configMaps}/said`, { apiVersion, kind: 'DeleteOptions', gracePeriodSeconds: 5 });
      }
    },
    'a pod that no node has goes at once': async (api) => {
      await api.given.post(pods, unschedulable('unscheduled', { terminationGracePeriodSeconds: 30 }));
      await api.remove(`${pods}/unscheduled`, undefined, only('metadata.deletionGracePeriodSeconds'));
      await api.get(`${pods}/unscheduled`);
    },
    'a pod that runs is given its time': async (api) => {
      await api.given.post(pods, pod('graceful', 'sleep 1000', { terminationGracePeriodSeconds: 2 }));
      await api.until(`${pods}/graceful`, ({ body }) => JSON.stringify(body).includes('"phase":"Running"'));
      await api.remove(
        `${pods}/graceful`,
        undefined,
        only('metadata.deletionTimestamp', 'metadata.deletionGracePeriodSeconds'),
      );
      await api.until(`${pods}/graceful`, gone);
    },
    'a pod can be deleted faster than it asked for': async (api) => {
      // One that does not go when it is asked to: it has to be there for each of the questions.
      const deaf = `trap '' TERM; echo deaf; sleep 1000`;
      await api.given.post(pods, pod('faster', deaf, { terminationGracePeriodSeconds: 100 }));
      await api.until(`${pods}/faster/log`, ({ body }) => body === 'deaf\n');
      await api.remove(`${pods}/faster?gracePeriodSeconds=50`, undefined, only('metadata.deletionGracePeriodSeconds'));
      await api.remove(`${pods}/faster?gracePeriodSeconds=80`, undefined, only('metadata.deletionGracePeriodSeconds'));
      await api.remove(`${pods}/faster`, { gracePeriodSeconds: 1 }, only('metadata.deletionGracePeriodSeconds'));
      await api.until(`${pods}/faster`, gone);
    },
    'a pod can be deleted without asking': async (api) => {
      await api.given.post(pods, pod('forced', 'sleep 1000', { terminationGracePeriodSeconds: 100 }));
      await api.until(`${pods}/forced`, ({ body }) => JSON.stringify(body).includes('"phase":"Running"'));
      await api.remove(`${pods}/forced?gracePeriodSeconds=0`, undefined, only('metadata.deletionGracePeriodSeconds'));
      await api.get(`${pods}/forced`);
    },
    'a negative grace period': async (api) => {
      await api.given.post(pods, unschedulable('negative'));
      await api.remove(
        `${pods}/negative?gracePeriodSeconds=-1`,
        undefined,
        only('metadata.deletionGracePeriodSeconds'),
      );
    },
  },
  {
    async before(api) {
      await api.given.post(paths.definitions, widgets);
      await api.until(paths.widgets, ({ status }) => status === 200);
    },
    async after(api) {
      await api.given.remove(`${paths.definitions}/widgets.GROUP`);
    },
  },
);

function refersTo(owner: Told) {
  const [name, uid] = [owner.at('metadata.name'), owner.at('metadata.uid')];
  return { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid }] };
}
