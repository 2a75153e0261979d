/**
 * What a Kubernetes API server does, told as conversations. Each is held against the recording of what the real server
 * answered: `npm test` asks the sandbox, `npm run test:cluster` asks the real server again, and with UPDATE=1 records anew.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from '../cluster/cluster.ts';
import { capabilitiesVariable } from '../support/needs.ts';
import { type RunningSandbox, startSandbox } from '../support/sandbox.ts';
import { testLabel } from '../support/world.ts';
import { assertSame } from './compare.ts';
import { type Conversation, converse, type Exchange } from './conversation.ts';
import { differences } from './differences.ts';
import { readRecording, writeRecording } from './recordings.ts';
import { openTarget, type Target } from './target.ts';

/** One conversation. Its title is a sentence that is true of a Kubernetes API server. */
export type Case = (api: Conversation) => Promise<void>;

/** What a suite has besides its cases. */
export interface Surroundings {
  /** Before the first case, once the namespace is there. Nothing of it is written down. */
  readonly before?: Case;
  /** After the last. */
  readonly after?: Case;
}

/** A mocha suite of conversations in a namespace of their own. */
export function contract(area: string, cases: Readonly<Record<string, Case>>, { before: prepare, after: tidy }: Surroundings = {}): void {
  describe(`contract: ${area}`, function () {
    this.timeout(180_000);
    const recorded = readRecording(area);
    const update = process.env.UPDATE === '1';
    const updated = new Map(Object.entries(recorded));
    const suffix = randomBytes(4).toString('hex');
    const namespace = `contract-${suffix}`;
    let target: Target;

    const talk = async (run: Case): Promise<readonly Exchange[]> => {
      const known = { namespace, group: `g${suffix}.contract.test.rungate.dev`, address: target.address };
      const { api, end } = converse(target, known);
      try {
        await run(api);
      } finally {
        end();
      }
      return end();
    };

    before(async () => {
      target = await openNamed();
      await talk(async (api) => {
        const metadata = { name: 'NS', labels: { [testLabel]: 'contract' } };
        await api.given.post('/api/v1/namespaces', { metadata });
        await api.until('/api/v1/namespaces/NS/serviceaccounts/default', ({ status }) => status === 200);
        await api.until('/api/v1/namespaces/NS/configmaps/kube-root-ca.crt', ({ status }) => status === 200);
        await prepare?.(api);
      });
    });

    after(async () => {
      await talk(async (api) => {
        await tidy?.(api);
        await api.given.remove('/api/v1/namespaces/NS');
      });
      target.close();
      if (update && target.name === 'real') {
        const titles = Object.keys(cases).filter((title) => updated.has(title));
        writeRecording(area, Object.fromEntries(titles.map((title) => [title, updated.get(title) ?? []])));
      }
    });

    for (const [title, run] of Object.entries(cases)) {
      it(title, async () => {
        const real = recorded[title];
        const difference = differences[`${area}: ${title}`];
        if (target.name === 'real' || difference === undefined) {
          const exchanges = plain(await talk(run));
          if (update && target.name === 'real') updated.set(title, exchanges);
          else assertSame(exchanges, real);
          return;
        }
        const exchanges = await talk(run).then(plain, (error: Error) => error);
        assert.notDeepEqual(exchanges, real, 'listed as a difference, but it is none any more');
        if (!difference.sandbox) return;
        if (exchanges instanceof Error) throw exchanges;
        assertSame(exchanges, plain(difference.sandbox(real ?? [])));
      });
    }

    it('every recording and every difference belongs to a case', () => {
      const titles = Object.keys(differences).filter((key) => key.startsWith(`${area}: `));
      const strays = [...Object.keys(recorded), ...titles.map((key) => key.slice(area.length + 2))];
      if (!update) assert.deepEqual(strays.filter((title) => cases[title] === undefined), []);
    });
  });
}

/** As it lies in a file: without fields that are undefined. */
function plain(exchanges: readonly Exchange[]): readonly Exchange[] {
  return JSON.parse(JSON.stringify(exchanges)) as readonly Exchange[];
}

let sandbox: Promise<RunningSandbox> | undefined;

/** The server that the environment means. One sandbox serves every suite of the process. */
async function openNamed(): Promise<Target> {
  if (process.env[capabilitiesVariable] !== undefined) return openTarget('real', (await connect()).kubeconfig);
  sandbox ??= startSandbox({ life: true });
  return openTarget('sandbox', (await sandbox).kubeconfigFile);
}

after(async () => (await sandbox)?.end());
