/** Getting and listing objects. */
import { contract } from './contract.ts';
import { configMap, paths, unschedulable } from './objects.ts';
import { names, namesOf, page } from './show.ts';

const { configMaps, secrets, pods } = paths;
const many = 'labelSelector=set%3Dmany';
const query = (selector: string) => encodeURIComponent(selector);

contract(
  'read',
  {
    'an object is what was created': async (api) => {
      await api.get(`${configMaps}/many-1`);
    },
    'an object that does not exist is not found': async (api) => {
      await api.get(`${configMaps}/absent`);
      await api.get(`${paths.leases}/absent`);
      await api.get('/api/v1/namespaces/absent-NS/configmaps/absent');
      await api.get('/api/v1/namespaces/absent-NS');
    },
    'an object of an impossible name is not found': async (api) => {
      await api.get(`${configMaps}/Not%20Valid`);
    },
    'a get takes any older resourceVersion': async (api) => {
      await api.get(`${configMaps}/many-1?resourceVersion=0`);
      await api.get(`${configMaps}/many-1?resourceVersion=1`);
    },
    'a resourceVersion must be a number': async (api) => {
      await api.get(`${configMaps}/many-1?resourceVersion=latest`);
      await api.get(`${configMaps}?resourceVersion=latest`);
    },
    'a list is in the order of names, without kind and version of its items': async (api) => {
      await api.get(`${configMaps}?${many}`);
    },
    'a list of nothing is a list': async (api) => {
      await api.get(`${configMaps}?labelSelector=set%3Dnone`);
      await api.get(`${paths.leases}`);
    },
    'a list in a namespace that does not exist is empty': async (api) => {
      await api.get('/api/v1/namespaces/absent-NS/configmaps');
    },
    'a list across namespaces names the namespace of each item': async (api) => {
      await api.get(`/api/v1/configmaps?${many}&fieldSelector=metadata.namespace%3DNS`, names);
    },
    'label selectors: equality': async (api) => {
      for (const selector of ['tier=web', 'tier==web', 'tier!=web,set=many', 'tier = web , set = many']) {
        await api.get(`${configMaps}?labelSelector=${query(selector)}`, names);
      }
    },
    'label selectors: sets': async (api) => {
      for (const selector of ['tier in (web,db)', 'tier notin (web),set', 'tier in (web),odd notin (yes)']) {
        await api.get(`${configMaps}?labelSelector=${query(selector)}`, names);
      }
    },
    'label selectors: presence': async (api) => {
      for (const selector of ['odd', '!odd,set', 'odd,tier']) {
        await api.get(`${configMaps}?labelSelector=${query(selector)}`, names);
      }
    },
    'label selectors: comparison of numbers': async (api) => {
      for (const selector of ['number>2', 'number<2', 'number > 1,number < 4']) {
        await api.get(`${configMaps}?labelSelector=${query(selector)}`, names);
      }
    },
    'label selectors: empty values': async (api) => {
      for (const selector of ['tier=', 'tier in (),set', 'tier in (,web)']) {
        await api.get(`${configMaps}?labelSelector=${query(selector)}`, names);
      }
    },
    'label selectors: mistakes': async (api) => {
      const mistakes = [
        'tier=web,',
        'tier in web',
        '=web',
        'tier~web',
        'a b=c',
        'tier=web web',
        'tier in (web',
        'number>many',
        'tier=not valid!',
        '!',
      ];
      for (const selector of mistakes) await api.get(`${configMaps}?labelSelector=${query(selector)}`);
    },
    'field selectors: every kind has its name and namespace': async (api) => {
      for (const selector of [
        'metadata.name=many-2',
        'metadata.name==many-2',
        'metadata.name!=many-2,metadata.namespace=NS',
        'metadata.name=many-2,metadata.name=many-3',
      ]) {
        await api.get(`${configMaps}?${many}&fieldSelector=${query(selector)}`, names);
      }
    },
    'field selectors: a field that the kind does not offer is refused': async (api) => {
      await api.get(`${configMaps}?fieldSelector=${query('data.colour=red')}`);
      await api.get(`${paths.leases}?fieldSelector=${query('spec.holderIdentity=me')}`);
    },
    'field selectors: mistakes': async (api) => {
      for (const selector of ['metadata.name', 'metadata.name>a', 'metadata.name in (a)']) {
        await api.get(`${configMaps}?fieldSelector=${query(selector)}`);
      }
    },
    'field selectors: pods by phase, node and more': async (api) => {
      for (const selector of [
        'status.phase=Pending',
        'status.phase!=Pending',
        'spec.nodeName=',
        'spec.restartPolicy=Never',
        'spec.serviceAccountName=default',
        'spec.schedulerName=other',
      ]) {
        await api.get(`${pods}?labelSelector=&fieldSelector=${query(selector)}`, names);
      }
      await api.get(`${pods}?fieldSelector=${query('spec.hostname=a')}`);
    },
    'field selectors: secrets by type': async (api) => {
      await api.get(`${secrets}?fieldSelector=type%3DOpaque`, names);
    },
    'field selectors: events by what they are about': async (api) => {
      for (const selector of [
        'involvedObject.name=thing',
        'reason=Tested,type=Normal',
        'involvedObject.kind=Thing,involvedObject.name!=other',
      ]) {
        await api.get(`${paths.events}?fieldSelector=${query(selector)}`, names);
      }
      await api.get(`${paths.events}?fieldSelector=${query('message=a')}`);
      await api.get(
        `/apis/events.k8s.io/v1/namespaces/NS/events?fieldSelector=${query('regarding.name=thing')}`,
        names,
      );
    },
    'field selectors: namespaces by phase': async (api) => {
      await api.get(`/api/v1/namespaces?fieldSelector=${query('metadata.name=NS,status.phase=Active')}`, names);
      await api.get(`/api/v1/namespaces?fieldSelector=${query('metadata.name=NS,status.phase=Terminating')}`, names);
    },
    'a list is served in pages': async (api) => {
      const first = await api.get(`${configMaps}?${many}&limit=2`, page);
      const second = await api.get(`${configMaps}?${many}&limit=2&continue=${first.at('metadata.continue')}`, page);
      await api.get(`${configMaps}?${many}&limit=2&continue=${second.at('metadata.continue')}`, page);
    },
    'a page of a list without selector says how many remain': async (api) => {
      await api.get(`${secrets}?limit=1`, page);
    },
    'a limit of zero, or one that is large enough, is no limit': async (api) => {
      await api.get(`${configMaps}?${many}&limit=0`, page);
      await api.get(`${configMaps}?${many}&limit=500`, page);
    },
    'a limit must not be negative': async (api) => {
      await api.get(`${configMaps}?${many}&limit=-1`, page);
    },
    'a continue token that is none is refused': async (api) => {
      await api.get(`${configMaps}?limit=2&continue=nonsense`);
      await api.get(
        `${configMaps}?limit=2&continue=${Buffer.from('{"v":"meta.k8s.io/v7","rv":1,"start":"a"}').toString('base64url')}`,
      );
    },
    'a continue token does not go with a resourceVersion': async (api) => {
      const page = await api.given.get(`${configMaps}?${many}&limit=2`);
      await api.get(`${configMaps}?${many}&limit=2&resourceVersion=5&continue=${page.at('metadata.continue')}`);
    },
    'resourceVersion 0 takes what is there, limit or not': async (api) => {
      await api.get(`${configMaps}?${many}&limit=2&resourceVersion=0`, page);
    },
    'resourceVersionMatch: exactly what was there then': async (api) => {
      const before = await api.given.get(`${configMaps}?labelSelector=set%3Dexact`);
      await api.given.post(configMaps, configMap('exact', {}, { labels: { set: 'exact' } }));
      const then = `resourceVersion=${before.at('metadata.resourceVersion')}`;
      // Not older is what a server has at hand, which is what is stored a moment later.
      await api.until(`${configMaps}?labelSelector=set%3Dexact&resourceVersion=0`, ({ body }) =>
        JSON.stringify(body).includes('"name":"exact"'),
      );
      await api.get(`${configMaps}?labelSelector=set%3Dexact&${then}&resourceVersionMatch=Exact`, names);
      await api.get(`${configMaps}?labelSelector=set%3Dexact&${then}&resourceVersionMatch=NotOlderThan`, names);
    },
    'resourceVersionMatch: combinations that mean nothing': async (api) => {
      await api.get(`${configMaps}?resourceVersionMatch=Exact`);
      await api.get(`${configMaps}?resourceVersion=0&resourceVersionMatch=Exact`);
      await api.get(`${configMaps}?resourceVersion=1&resourceVersionMatch=Sometimes`);
      await api.get(`${configMaps}?resourceVersionMatch=NotOlderThan`);
    },
    'a resourceVersion that is long gone': async (api) => {
      await api.get(`${configMaps}?${many}&resourceVersion=1&resourceVersionMatch=Exact`);
    },
    'a resourceVersion that is still to come': async (api) => {
      await api.get(
        `${configMaps}?${many}&resourceVersion=999999999999&resourceVersionMatch=NotOlderThan&timeoutSeconds=1`,
      );
    },
    'sendInitialEvents is for watches': async (api) => {
      await api.get(`${configMaps}?sendInitialEvents=true`);
    },
    'a namespace is Active and has a finalizer of its own': async (api) => {
      await api.get('/api/v1/namespaces/NS');
    },
    'a namespace comes with a service account and the root certificates': async (api) => {
      await api.get(`${paths.serviceAccounts}/default`);
      await api.get(`${configMaps}/kube-root-ca.crt`);
    },
  },
  {
    async before(api) {
      const odd = { odd: 'yes' };
      await api.given.post(
        configMaps,
        configMap('many-3', {}, { labels: { set: 'many', number: '3', tier: 'db', ...odd } }),
      );
      await api.given.post(
        configMaps,
        configMap('many-1', { colour: 'red' }, { labels: { set: 'many', number: '1', tier: 'web', ...odd } }),
      );
      await api.given.post(configMaps, configMap('many-2', {}, { labels: { set: 'many', number: '2', tier: 'web' } }));
      await api.given.post(configMaps, configMap('many-10', {}, { labels: { set: 'many', number: '10', tier: '' } }));
      await api.given.post(configMaps, configMap('many-4', {}, { labels: { set: 'many', number: 'four' } }));
      for (const name of ['one', 'two', 'three']) await api.given.post(secrets, { metadata: { name } });
      await api.given.post(pods, unschedulable('waits'));
      await api.given.post(paths.events, {
        metadata: { name: 'thing.1' },
        involvedObject: { kind: 'Thing', namespace: 'NS', name: 'thing' },
        reason: 'Tested',
        type: 'Normal',
      });
      // What resourceVersion=0 is answered from.
      await api.until(`${configMaps}?${many}&resourceVersion=0`, ({ body }) => namesOf(body)?.length === 5);
    },
  },
);
