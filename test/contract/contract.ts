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

/** Longer than a case waits for any one thing (`until`): real containers can take minutes on a slow machine. */
const caseLimitMs = process.env[capabilitiesVariable] === undefined ? 180_000 : 600_000;

/** A mocha suite of conversations in a namespace of their own. */
export function contract(
  area: string,
  cases: Readonly<Record<string, Case>>,
  { before: prepare, after: tidy }: Surroundings = {},
): void {
  describe(`contract: ${area}`, function () {
    this.timeout(caseLimitMs);
    const recorded = readRecording(area);
    const records = process.env.UPDATE === '1';
    const anew = new Map(Object.entries(recorded));
    let stage: Stage;

    before(async () => {
      stage = await openStage();
      await stage.talk(async (api) => {
        const metadata = { name: 'NS', labels: { [testLabel]: 'contract' } };
        await api.given.post('/api/v1/namespaces', { metadata });
        await api.until('/api/v1/namespaces/NS/serviceaccounts/default', ({ status }) => status === 200);
        await api.until('/api/v1/namespaces/NS/configmaps/kube-root-ca.crt', ({ status }) => status === 200);
        await prepare?.(api);
      });
    });

    after(async () => {
      // Mocha comes here as well when the server could not be reached.
      if (stage === undefined) return;
      await stage.talk(async (api) => {
        await tidy?.(api);
        await api.given.remove('/api/v1/namespaces/NS');
      });
      stage.target.close();
      if (records && stage.target.name === 'real') {
        const titles = Object.keys(cases).filter((title) => anew.has(title));
        writeRecording(area, Object.fromEntries(titles.map((title) => [title, anew.get(title) ?? []])));
      }
    });

    for (const [title, run] of Object.entries(cases)) {
      it(title, async () => {
        const difference = differences[`${area}: ${title}`];
        if (stage.target.name === 'sandbox' && difference !== undefined) {
          const exchanges = await stage.talk(run);
          assert.notDeepEqual(exchanges, recorded[title], 'listed as a difference, but it is none any more');
          // JSON in, JSON out.
          const expected = JSON.parse(difference.sandbox(JSON.stringify(recorded[title]))) as readonly Exchange[];
          assertSame(exchanges, expected);
          return;
        }
        const exchanges = await stage.talk(run);
        if (records && stage.target.name === 'real') anew.set(title, exchanges);
        else assertSame(exchanges, recorded[title]);
      });
    }

    it('every recording and every difference belongs to a case', () => {
      const listed = Object.keys(differences).filter((key) => key.startsWith(`${area}: `));
      const titles = [...Object.keys(recorded), ...listed.map((key) => key.slice(`${area}: `.length))];
      const strays = titles.filter((title) => cases[title] === undefined);
      if (!records) assert.deepEqual(strays, []);
    });
  });
}

/** A server, and names of a suite's own on it. */
interface Stage {
  readonly target: Target;
  /** What was asked and answered, as it would lie in a recording. */
  talk(run: Case): Promise<readonly Exchange[]>;
}

async function openStage(): Promise<Stage> {
  const target = await openNamed();
  const suffix = randomBytes(4).toString('hex');
  const known = {
    namespace: `contract-${suffix}`,
    group: `g${suffix}.contract.test.rungate.dev`,
    address: target.address,
  };
  return {
    target,
    async talk(run) {
      const { api, end } = converse(target, known);
      try {
        await run(api);
      } finally {
        end();
      }
      // As it would come from a file: without fields that are undefined.
      return JSON.parse(JSON.stringify(end())) as readonly Exchange[];
    },
  };
}

let sandbox: Promise<RunningSandbox> | undefined;

/** The server that the environment means. One sandbox serves every suite of the process. */
async function openNamed(): Promise<Target> {
  if (process.env[capabilitiesVariable] !== undefined) return openTarget('real', (await connect()).kubeconfig);
  sandbox ??= startSandbox({ life: true });
  return openTarget('sandbox', (await sandbox).kubeconfigFile);
}

after(async function () {
  this.timeout(caseLimitMs);
  await (await sandbox)?.end();
});
