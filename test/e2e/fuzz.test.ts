/**
 * The HTTP surface under requests that nobody should send, against the real process. `FUZZ_SEED` sends those of a run
 * again, `FUZZ_REQUESTS` says how many: 5,000 unless told; under `npm run test:cluster` 100,000 in front of a sandbox, and
 * 20,000 of the cluster, which is asked about each run that is not there.
 */
import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import type { OpenApiDocument } from '../../src/gateway/described/openapi.ts';
import { answers } from '../../src/gateway/problem.ts';
import { eventually } from '../support/eventually.ts';
import { Dice, type FuzzRequest, fuzzRequests } from '../support/fuzz.ts';
import { groundVariable, onCluster } from '../support/ground.ts';
import { RawClient, type RawOutcome } from '../support/raw-http.ts';
import { startWorld, type World } from '../support/world.ts';

const inSuite = process.env[groundVariable] !== undefined;
const count = Number(process.env.FUZZ_REQUESTS ?? (!inSuite ? 5_000 : onCluster ? 20_000 : 100_000));
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
/** As many as browsers and CI jobs might have open together. */
const AT_ONCE = 24;
/** Long enough for a machine that does many other things; an answer that does not come at all is what is looked for. */
const ANSWER_WITHIN_MS = 60_000;
/** Of a request in a complaint. */
const LONGEST_SHOWN = 300;
/** Of a request that a busy cluster has not answered in time. */
const MOST_TRIES = 5;
/** A request that asks to wait is left after this. */
const WAIT_MS = 150;

describe('requests that nobody should send', function () {
  this.timeout(18 * 60_000);
  let world: World;

  before(async () => {
    world = await startWorld({ namespaces: 2, components: ['triggers-read'] });
  });
  after(() => world?.end());

  it(`${count} of them (seed ${seed}): no 5xx, no crash, nothing unanswered, nothing internal`, async () => {
    const { gateway, namespaces } = world;
    const runs = await Promise.all(['green', 'red', 'skipped'].map((kind) => world.run(kind)));
    await Promise.all(runs.map((run) => world.finished(run)));
    const document = (await gateway.get('/openapi.json')).json<OpenApiDocument>();
    const requests = fuzzRequests({ document, credentials: gateway.credentials, runs, namespaces }, new Dice(seed));
    const client = new RawClient(gateway.url);
    const complaints: string[] = [];
    const statuses = new Map<string, number>();

    let sent = 0;
    const send = async (): Promise<void> => {
      while (sent < count && complaints.length < 20) {
        sent += 1;
        const request = requests.next().value;
        const { method, isMalformed, mayWait } = request;
        const withinMs = mayWait ? WAIT_MS : ANSWER_WITHIN_MS;
        const ask = () => client.ask(request.bytes, { method, withinMs, alone: isMalformed }).catch(String);
        let outcome = await ask();
        // A cluster that has much else to do may answer later than rungate waits; once more it does not.
        for (let tries = 1; onCluster && tries < MOST_TRIES && isOfCluster(outcome); tries++) outcome = await ask();
        const key =
          typeof outcome === 'string'
            ? 'error'
            : outcome.is === 'answered'
              ? String(outcome.answer.status)
              : outcome.is;
        statuses.set(key, (statuses.get(key) ?? 0) + 1);
        const complaint = typeof outcome === 'string' ? outcome : complaintAbout(request, outcome);
        if (complaint !== undefined) complaints.push(`${complaint}\n    ${shown(request.bytes)}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, send));
    client.close();

    process.stdout.write(
      `      ${[...statuses]
        .sort()
        .map(([key, times]) => `${key}: ${times}`)
        .join(', ')}\n`,
    );
    assert.equal(complaints.length, 0, `FUZZ_SEED=${seed} sends them again:\n${complaints.join('\n')}`);
    assert.equal((await gateway.get('/health', { as: 'none' })).status, 200);
    assert.equal((await gateway.get(`/status/${runs[0]}`)).status, 200);
    assert.doesNotMatch(gateway.log(), /a request failed by our fault|"level":"error"/);
    for (const reached of ['200', '400', '401', '403', '404', '405']) {
      assert(statuses.has(reached), `${reached} was never met: these requests say too little`);
    }
    await eventually(async () => assert.equal(await gateway.metric('rungate_log_streams_open'), 0));
  });
});

/** Whether it says that the cluster did not answer. */
function isOfCluster(outcome: RawOutcome | string): boolean {
  if (typeof outcome === 'string' || outcome.is !== 'answered') return false;
  return outcome.answer.status === 503 || outcome.answer.status === 504;
}

/** What is wrong with an outcome; nothing where all is well. */
function complaintAbout(
  { method, isMalformed, mayWait, mayBreakOff }: FuzzRequest,
  outcome: RawOutcome,
): string | undefined {
  if (outcome.is === 'late') return mayWait ? undefined : `no answer, only ${shown(outcome.received)}`;
  if (outcome.is === 'closed') return isMalformed ? undefined : 'closed without an answer';
  const { status, headers, body, isWhole } = outcome.answer;
  const isPacked = headers['content-encoding'] === 'gzip' && isWhole && body.length > 0;
  const text = (isPacked ? gunzipSync(body) : body).toString();
  if (status >= 500) return `${status} ${text}`;
  if (!isWhole && !isMalformed && !mayBreakOff) return `${status}, but half of it`;
  if (status < 400) return undefined;
  const trace =
    /\bat \S+ \(|node:internal|node_modules|\.ts:\d|\/src\/|\/tmp\/|\/home\/|\bE(?:NOENT|CONN\w+|PIPE)\b|\b\w*Error:/.exec(
      text,
    );
  if (trace !== null) return `${status} says too much (${trace[0]}): ${text}`;
  if (method === 'HEAD' && body.length === 0) return undefined;
  if (!/^application\/json/.test(headers['content-type'] ?? '')) return `${status} that is no JSON: ${text}`;
  return complaintAboutBody(status, text, headers['x-request-id']);
}

function complaintAboutBody(status: number, text: string, requestId: string | undefined): string | undefined {
  let body: Readonly<Record<string, unknown>>;
  try {
    body = JSON.parse(text);
  } catch {
    return `${status} that is no JSON: ${text}`;
  }
  // A run that did not succeed is 400 with its status, and no error.
  if (status === 400 && body.type === 'Succeeded') return undefined;
  if (status === 400 && typeof body.uid === 'string' && typeof body.phase === 'string') return undefined;
  const isProblem =
    typeof body.error === 'string' && body.error !== '' && typeof body.code === 'string' && body.code in answers;
  if (!isProblem) return `${status} that is no problem as documented: ${text}`;
  const code = answers[body.code as keyof typeof answers];
  // What is refused before there is a request has the code that says so, and no id.
  if (requestId === undefined) return body.requestId === undefined ? undefined : `${status} without its id: ${text}`;
  if (body.requestId !== requestId) return `${status} with two ids: ${text}`;
  return code.status === status ? undefined : `${status} for ${String(body.code)}: ${text}`;
}

function shown(bytes: Buffer): string {
  return (
    JSON.stringify(bytes.toString('latin1').slice(0, LONGEST_SHOWN)) +
    (bytes.length > LONGEST_SHOWN ? ` and ${bytes.length - LONGEST_SHOWN} more` : '')
  );
}
