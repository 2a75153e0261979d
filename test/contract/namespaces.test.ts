/** Namespaces: what makes one, and how one ends. */
import { contract } from './contract.ts';
import type { Told } from './conversation.ts';
import { configMap } from './objects.ts';
import { only } from './show.ts';

const namespaces = '/api/v1/namespaces';
const gone = ({ status }: Told) => status === 404;

contract('namespaces', {
  'a new namespace is active and carries its name as a label': async (api) => {
    await api.post(namespaces, { metadata: { name: 'NS-new' } });
    await api.given.remove(`${namespaces}/NS-new`);
  },
  'a name must be a DNS label': async (api) => {
    for (const name of ['Upper', 'with.dot', 'x'.repeat(64)]) await api.post(namespaces, { metadata: { name } });
  },
  'a name that is taken already exists': async (api) => {
    await api.post(namespaces, { metadata: { name: 'NS' } });
  },
  'the label of the name cannot be changed': async (api) => {
    await api.patch(
      `${namespaces}/NS`,
      'merge',
      { metadata: { labels: { 'kubernetes.io/metadata.name': 'other' } } },
      only('metadata.labels'),
    );
  },
  'a new namespace gets its service account and the root certificates': async (api) => {
    await api.given.post(namespaces, { metadata: { name: 'NS-furnished' } });
    await api.until(`${namespaces}/NS-furnished/serviceaccounts/default`, ({ status }) => status === 200);
    await api.until(`${namespaces}/NS-furnished/configmaps/kube-root-ca.crt`, ({ status }) => status === 200);
    await api.given.remove(`${namespaces}/NS-furnished`);
  },
  'the service account and the certificates come back': async (api) => {
    const account = await api.given.get(`${namespaces}/NS/serviceaccounts/default`);
    await api.given.remove(`${namespaces}/NS/serviceaccounts/default`);
    await api.given.remove(`${namespaces}/NS/configmaps/kube-root-ca.crt`);
    await api.until(
      `${namespaces}/NS/serviceaccounts/default`,
      (answer) => answer.status === 200 && answer.at('metadata.uid') !== account.at('metadata.uid'),
    );
    await api.until(`${namespaces}/NS/configmaps/kube-root-ca.crt`, ({ status }) => status === 200);
  },
  'a deletion answers with the namespace, which is terminating': async (api) => {
    await api.given.post(namespaces, { metadata: { name: 'NS-answers' } });
    await api.remove(`${namespaces}/NS-answers`);
    await api.until(`${namespaces}/NS-answers`, gone);
  },
  'everything in a namespace goes with it': async (api) => {
    await api.given.post(namespaces, { metadata: { name: 'NS-full' } });
    await api.given.post(`${namespaces}/NS-full/configmaps`, configMap('inside'));
    await api.given.remove(`${namespaces}/NS-full`);
    await api.until(`${namespaces}/NS-full`, gone);
    await api.get(`${namespaces}/NS-full/configmaps`, only('items'));
    await api.get(`${namespaces}/NS-full`);
  },
  'a namespace that ends takes nothing new, and waits for finalizers': async (api) => {
    await api.given.post(namespaces, { metadata: { name: 'NS-ends' } });
    await api.given.post(
      `${namespaces}/NS-ends/configmaps`,
      configMap('held', {}, { finalizers: ['test.rungate.dev/hold'] }),
    );
    await api.given.remove(`${namespaces}/NS-ends`);
    await api.post(`${namespaces}/NS-ends/configmaps`, configMap('late'));
    // The first looks may find more, kinds of others that come and go among it.
    const isEmptied = ({ body }: Told) => {
      const text = JSON.stringify(body);
      const isLeft = /remaining: configmaps\. has 1 resource instances"/.test(text);
      return isLeft && !/Failure","status":"True/.test(text) && /FinalizersRemaining","status":"True/.test(text);
    };
    await api.getWhen(`${namespaces}/NS-ends`, isEmptied, {
      show: (body) => {
        const { status } = body as {
          status: { phase: string; conditions: { type: string; status: string; reason: string; message: string }[] };
        };
        return {
          phase: status.phase,
          conditions: status.conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
        };
      },
    });
    await api.get(`${namespaces}/NS-ends/configmaps/held`, only('metadata.deletionTimestamp'));
    await api.patch(`${namespaces}/NS-ends/configmaps/held`, 'merge', { data: { still: 'possible' } }, only('data'));
    await api.given.patch(`${namespaces}/NS-ends/configmaps/held`, 'merge', { metadata: { finalizers: null } });
    await api.until(`${namespaces}/NS-ends`, gone);
  },
  'a namespace can be finalized by request': async (api) => {
    const made = await api.given.post(namespaces, {
      metadata: { name: 'NS-final' },
      spec: { finalizers: ['test.rungate.dev/mine', 'kubernetes'] },
    });
    await api.given.remove(`${namespaces}/NS-final`);
    await api.put(
      `${namespaces}/NS-final/finalize`,
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'NS-final', uid: made.at('metadata.uid') },
        spec: { finalizers: [] },
      },
      only('spec', 'status.phase'),
    );
    await api.until(`${namespaces}/NS-final`, gone);
  },
  'some namespaces cannot be deleted': async (api) => {
    await api.remove(`${namespaces}/default?dryRun=All`);
    await api.remove(`${namespaces}/kube-system?dryRun=All`);
  },
  'namespaces cannot be deleted as a collection': async (api) => {
    await api.remove(`${namespaces}?labelSelector=set%3Dnothing`);
  },
});
