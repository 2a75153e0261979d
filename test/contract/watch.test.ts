/** Watching: what comes, in which order, and how it ends. */
import type { Json } from '../../src/sandbox/object.ts';
import { contract } from './contract.ts';
import type { Conversation } from './conversation.ts';
import { configMap, paths, pod, unschedulable } from './objects.ts';
import { changes, names, nothing, valueAt } from './show.ts';

const { configMaps } = paths;
/** A watch of this case's own objects. */
const watching = (set: string, more = '') => `${configMaps}?watch=true&labelSelector=set%3D${set}${more}`;
const inSet = (set: string) => ({ labels: { set } });
/** A scheduler may say why it takes no pod as often as it likes. */
const isOfScheduler = (event: Json) =>
  valueAt(event, 'type') === 'MODIFIED' && valueAt(event, 'object.metadata.deletionTimestamp') === undefined;
/** Until a server knows this ConfigMap where it watches from: a real one hears of what is stored a moment later. */
const isWatched = (api: Conversation, name: string) =>
  api.until(`${configMaps}?resourceVersion=0`, ({ body }) => JSON.stringify(body).includes(`"name":"${name}"`));

contract('watch', {
  'a watch from a list tells of what came after it': async (api) => {
    await api.given.post(configMaps, configMap('tells-0', {}, inSet('tells')));
    const list = await api.given.get(`${configMaps}?labelSelector=set%3Dtells`);
    const watch = await api.stream(watching('tells', `&resourceVersion=${list.at('metadata.resourceVersion')}`));
    await api.given.post(configMaps, configMap('tells-1', {}, inSet('tells')));
    await api.given.patch(`${configMaps}/tells-1`, 'merge', { data: { colour: 'red' } });
    await api.given.remove(`${configMaps}/tells-0`);
    await watch.take(3);
  },
  'a watch without resourceVersion begins with what is there': async (api) => {
    await api.given.post(configMaps, configMap('there-b', {}, inSet('there')));
    await api.given.post(configMaps, configMap('there-a', {}, inSet('there')));
    await isWatched(api, 'there-a'); // which come by their names only where both are there
    const watch = await api.stream(watching('there'), changes());
    await watch.take(2);
    await api.given.post(configMaps, configMap('there-0', {}, inSet('there')));
    await watch.take(1);
  },
  'a watch from 0 begins with what is there': async (api) => {
    await api.given.post(configMaps, configMap('zero-a', {}, inSet('zero')));
    const watch = await api.stream(watching('zero', '&resourceVersion=0'), changes());
    await watch.take(1);
  },
  'a watch from an object tells what happened to it since': async (api) => {
    const made = await api.given.post(configMaps, configMap('since', {}, inSet('since')));
    await api.given.patch(`${configMaps}/since`, 'merge', { data: { step: '1' } });
    await api.given.patch(`${configMaps}/since`, 'merge', { data: { step: '2' } });
    const watch = await api.stream(
      watching('since', `&resourceVersion=${made.at('metadata.resourceVersion')}`),
      changes('data'),
    );
    await watch.take(2);
  },
  'a deletion carries the last state and a version of its own': async (api) => {
    const made = await api.given.post(configMaps, configMap('last', { colour: 'red' }, inSet('last')));
    const watch = await api.stream(watching('last', `&resourceVersion=${made.at('metadata.resourceVersion')}`));
    await api.given.remove(`${configMaps}/last`);
    await watch.take(1);
  },
  'an object that begins to match is added, and one that ceases is deleted': async (api) => {
    const made = await api.given.post(configMaps, configMap('moves', {}, inSet('elsewhere')));
    const watch = await api.stream(watching('moves', `&resourceVersion=${made.at('metadata.resourceVersion')}`));
    await api.given.patch(`${configMaps}/moves`, 'merge', { metadata: { labels: { set: 'moves' } } });
    await api.given.patch(`${configMaps}/moves`, 'merge', { data: { colour: 'red' } });
    await api.given.patch(`${configMaps}/moves`, 'merge', { metadata: { labels: { set: 'elsewhere' } } });
    await api.given.patch(`${configMaps}/moves`, 'merge', { data: { colour: 'green' } });
    await api.given.patch(`${configMaps}/moves`, 'merge', { metadata: { labels: { set: 'moves' } } });
    await watch.take(4);
  },
  'field selectors of watches are those of lists': async (api) => {
    const made = await api.given.post(configMaps, configMap('field-a'));
    const from = `&resourceVersion=${made.at('metadata.resourceVersion')}`;
    const watch = await api.stream(`${configMaps}?watch=1&fieldSelector=metadata.name%3Dfield-b${from}`, changes());
    await api.given.post(configMaps, configMap('field-c'));
    await api.given.post(configMaps, configMap('field-b'));
    await watch.take(1);
    await api.get(`${configMaps}?watch=1&fieldSelector=data.colour%3Dred`);
  },
  'an update that changes nothing is not told': async (api) => {
    const made = await api.given.post(configMaps, configMap('quiet', { a: 'b' }, inSet('quiet')));
    const watch = await api.stream(
      watching('quiet', `&resourceVersion=${made.at('metadata.resourceVersion')}`),
      changes('data'),
    );
    await api.given.patch(`${configMaps}/quiet`, 'merge', { data: { a: 'b' } });
    await api.given.patch(`${configMaps}/quiet`, 'merge', { data: { a: 'c' } });
    await watch.take(1);
  },
  'a dry run is not told': async (api) => {
    const made = await api.given.post(configMaps, configMap('dry', {}, inSet('dry')));
    const watch = await api.stream(
      watching('dry', `&resourceVersion=${made.at('metadata.resourceVersion')}`),
      changes('data'),
    );
    await api.given.patch(`${configMaps}/dry?dryRun=All`, 'merge', { data: { a: 'dry' } });
    await api.given.patch(`${configMaps}/dry`, 'merge', { data: { a: 'wet' } });
    await watch.take(1);
  },
  'a name in the path is a get, with watch or without': async (api) => {
    await api.given.post(configMaps, configMap('single'));
    await api.get(`${configMaps}/single?watch=true`);
  },
  'the old watch path still works': async (api) => {
    await api.given.post(configMaps, configMap('old-path', {}, inSet('old')));
    const watch = await api.stream('/api/v1/watch/namespaces/NS/configmaps?labelSelector=set%3Dold', changes());
    await watch.take(1);
  },
  'a watch across namespaces': async (api) => {
    await api.given.post(configMaps, configMap('everywhere', {}, { labels: { set: 'everywhere-NS' } }));
    const watch = await api.stream(
      '/api/v1/configmaps?watch=true&labelSelector=set%3Deverywhere-NS',
      changes('metadata.namespace'),
    );
    await watch.take(1);
  },
  'timeoutSeconds ends a watch without an error': async (api) => {
    const watch = await api.stream(watching('timeout', '&timeoutSeconds=1'));
    await watch.takeAll();
  },
  'anything but false and 0 means watch': async (api) => {
    const watch = await api.stream(`${configMaps}?watch=perhaps&labelSelector=set%3Dnone&timeoutSeconds=1`);
    await watch.takeAll();
    await api.get(`${configMaps}?watch=0&labelSelector=set%3Dnone`, names);
    await api.get(`${configMaps}?watch=false&labelSelector=set%3Dnone`, names);
  },
  'sendInitialEvents tells what is there and marks where that ends': async (api) => {
    await api.given.post(configMaps, configMap('initial-a', {}, inSet('initial')));
    await api.given.post(configMaps, configMap('initial-b', {}, inSet('initial')));
    const more = '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const watch = await api.stream(watching('initial', more));
    await watch.take(3);
    await api.given.post(configMaps, configMap('initial-0', {}, inSet('initial')));
    await watch.take(1);
  },
  'sendInitialEvents of nothing is a bookmark': async (api) => {
    const more = '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0';
    const watch = await api.stream(watching('nothing', more));
    await watch.take(1);
  },
  'sendInitialEvents=false tells only what comes': async (api) => {
    await api.given.post(configMaps, configMap('silent-a', {}, inSet('silent')));
    const more = '&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const watch = await api.stream(watching('silent', more), changes());
    await api.given.post(configMaps, configMap('silent-b', {}, inSet('silent')));
    await watch.take(1);
  },
  'sendInitialEvents needs its companions': async (api) => {
    await api.get(watching('none', '&sendInitialEvents=true'));
    await api.get(watching('none', '&sendInitialEvents=true&resourceVersionMatch=Exact&allowWatchBookmarks=true'));
    await api.get(watching('none', '&resourceVersionMatch=NotOlderThan'));
    await api.get(watching('none', '&resourceVersionMatch=Exact&resourceVersion=5'));
  },
  'a resourceVersion that is long gone ends the watch with an error': async (api) => {
    const watch = await api.stream(watching('none', '&resourceVersion=1'));
    await watch.takeAll();
  },
  'a resourceVersion that is none is refused': async (api) => {
    await api.get(watching('none', '&resourceVersion=latest'));
  },
  'a watch in pages is a watch': async (api) => {
    await api.given.post(configMaps, configMap('limited-a', {}, inSet('limited')));
    await api.given.post(configMaps, configMap('limited-b', {}, inSet('limited')));
    const watch = await api.stream(watching('limited', '&limit=1'), changes());
    await watch.take(2);
  },
  'a watch can be had as tables': async (api) => {
    await api.given.post(configMaps, configMap('tabled-a', { x: 'y' }, inSet('tabled')));
    const watch = await api.stream(watching('tabled'), {
      headers: { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    });
    await watch.take(1);
    await api.given.patch(`${configMaps}/tabled-a`, 'merge', { data: { more: 'z' } });
    await watch.take(1);
  },
  'a watch is JSON, whether its own type is asked for or any': async (api) => {
    const more = (accept: string) => ({ headers: { Accept: accept } });
    const query = watching('typed', '&timeoutSeconds=1');
    await (await api.stream(query, more('application/json;stream=watch'))).takeAll();
    await (await api.stream(query, more('application/json, */*'))).takeAll();
    await (await api.stream(query, more('*/*'))).takeAll();
  },
  'a watch can be had of metadata alone': async (api) => {
    await api.given.post(configMaps, configMap('partial', { x: 'y' }, inSet('partial')));
    const watch = await api.stream(watching('partial'), {
      headers: { Accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' },
    });
    await watch.take(1);
  },
  'an object with a finalizer is modified first and deleted later': async (api) => {
    const metadata = { finalizers: ['test.rungate.dev/hold'], ...inSet('held') };
    const made = await api.given.post(configMaps, configMap('held', {}, metadata));
    const from = `&resourceVersion=${made.at('metadata.resourceVersion')}`;
    const watch = await api.stream(
      watching('held', from),
      changes('metadata.deletionTimestamp', 'metadata.finalizers'),
    );
    await api.given.remove(`${configMaps}/held`);
    await api.given.patch(`${configMaps}/held`, 'merge', { metadata: { finalizers: null } });
    await watch.take(2);
  },
  'the phases of a pod are told in order': async (api) => {
    const { at } = await api.given.get(paths.pods);
    const from = `&resourceVersion=${at('metadata.resourceVersion')}`;
    await api.given.post(paths.pods, pod('phases', 'echo done'));
    const watch = await api.stream(`${paths.pods}?watch=true&fieldSelector=metadata.name%3Dphases${from}`, nothing);
    const seen: string[] = [];
    await watch.takeUntil((event) => {
      const { phase } = (event as { object: { status: { phase: string } } }).object.status;
      if (seen.at(-1) !== phase) seen.push(phase);
      return phase === 'Succeeded';
    });
    await api.get(`${paths.pods}/phases`, { show: () => ({ phases: seen.filter((phase) => phase !== 'Running') }) });
  },
  'a watch of a resource that nobody serves is not found': async (api) => {
    await api.get('/api/v1/namespaces/NS/gizmos?watch=true');
  },
  'pods that leave a phase leave a watch of it': async (api) => {
    await api.given.post(paths.pods, unschedulable('leaves'));
    await api.until(`${paths.pods}/leaves`, ({ body }) => JSON.stringify(body).includes('Unschedulable'));
    const watch = await api.stream(
      `${paths.pods}?watch=true&fieldSelector=metadata.name%3Dleaves,status.phase%3DPending`,
      { show: (event) => (isOfScheduler(event) ? undefined : changes().show(event)) },
    );
    await watch.take(1);
    await api.given.remove(`${paths.pods}/leaves?gracePeriodSeconds=0`);
    await watch.takeUntil((event) => JSON.stringify(event).startsWith('{"type":"DELETED"'));
  },
});
