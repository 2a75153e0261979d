/**
 * Bodies and headers that nobody should send, against the real door. It also measures how long the event loop was held up at most, in
 * processor time, which other work on the machine does not add to.
 * `HOOK_FUZZ_SEED` sends the same again, `HOOK_FUZZ_REQUESTS` says how many: 5,000 unless told; 50,000 under `npm run test:cluster`.
 */
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Dice } from '../support/fuzz.ts';
import { checkout } from '../support/gateway.ts';
import { groundVariable } from '../support/ground.ts';
import { signatureOf } from '../support/hook-client.ts';
import { type EventBody, fluxEvent, goJson } from '../support/hook-events.ts';
import { type HookWorld, startHookWorld } from '../support/hooks.ts';
import { clusterSuite } from '../support/needs.ts';
import { RawClient, type RawOutcome } from '../support/raw-http.ts';
import { revisionOf } from '../support/shapes.ts';

const inSuite = process.env[groundVariable] !== undefined;
const count = Number(process.env.HOOK_FUZZ_REQUESTS ?? (inSuite ? 50_000 : 5_000));
const seed = Number(process.env.HOOK_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const AT_ONCE = 24;
const ANSWER_WITHIN_MS = 60_000;
/** How often the same is sent while the answer is that it is to be sent again, and the gap. */
const [MOST_TRIES, RETRY_MS] = [10, 3_000];
/** What a turn of the event loop may take. Half of that is the goal; not every machine is as fast as another. */
const MOST_TURN_MS = 100;
/** One of so many bodies is this long: what is long is hashed, read and walked. */
const [LONG_ONE_IN, LONG_BYTES] = [500, 900_000];

clusterSuite('bodies and headers that nobody should send', { triggers: true }, function () {
  this.timeout(18 * 60_000);
  let world: HookWorld;
  let event: EventBody;
  const turns = join(tmpdir(), `rungate-turns-${process.pid}`);

  before(async () => {
    world = await startHookWorld({
      components: ['hooks-impersonation'],
      env: {
        TEKTON_TRIGGERS_COMPAT: 'true',
        ...withoutLimits,
        NODE_OPTIONS: `--import ${checkout}test/support/turns.ts`,
        TURNS_FILE: turns,
      },
    });
    await world.repository('fuzzed', revisionOf(2));
    await world.hook('native', { source: { kind: 'GitRepository', name: 'fuzzed' }, hook: { mode: 'events' } });
    // Of an account that may create nothing: all of the way is gone, and no cluster is filled with runs.
    await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'nobody' } });
    await world.listen('fuzzed', {
      triggers: [
        { name: 'fuzzed-a', filter: "header.canonical('Gotk-Component') == 'source-controller'" },
        { name: 'fuzzed-b', filter: "size(body.message) < 40000 && body.message.matches('^(a+)+$')" },
        { name: 'fuzzed-c', bindings: { rev: '$(body.a.b)' } },
      ].map((trigger) => ({ ...trigger, serviceAccountName: 'nobody' })),
    });
    event = await world.event('fuzzed', { revision: revisionOf(2) });
  });
  after(async () => {
    await world?.end();
    await rm(turns, { force: true });
  });

  it(`${count} of them (seed ${seed}): no 5xx, no crash, nothing unanswered, nothing internal`, async () => {
    const dice = new Dice(seed);
    const client = new RawClient(world.gateway.url);
    const complaints: string[] = [];
    const statuses = new Map<string, number>();
    process.kill(world.gateway.pid, 'SIGUSR2'); // from here on turns are measured
    let sent = 0;
    const send = async () => {
      while (sent < count && complaints.length < 20) {
        sent += 1;
        const request = requestOf(dice);
        const outcome = await ask(client, request);
        const key =
          typeof outcome === 'string' ? 'error' : outcome.is === 'answered' ? outcome.answer.status : outcome.is;
        statuses.set(String(key), (statuses.get(String(key)) ?? 0) + 1);
        const complaint = typeof outcome === 'string' ? outcome : complaintAbout(outcome);
        if (complaint !== undefined) complaints.push(`${complaint}\n    ${request.toString('latin1').slice(0, 400)}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, send));
    client.close();
    const longest = Number(await readFile(turns, 'utf8'));
    const seen = [...statuses].sort().map(([key, times]) => `${key}: ${times}`);
    process.stdout.write(`      ${seen.join(', ')}; longest turn ${Math.round(longest)} ms of processor time\n`);
    assert.ok(longest < MOST_TURN_MS, `the event loop was held up for ${longest} ms`);
    assert.equal(complaints.length, 0, `HOOK_FUZZ_SEED=${seed} sends them again:\n${complaints.join('\n')}`);
    for (const reached of ['202', '400', '401', '404', '413', '415']) {
      assert.ok(statuses.has(reached), `${reached} was never met: these requests say too little`);
    }
    assert.doesNotMatch(world.gateway.log(), /a request failed by our fault|"level":"error"/);
    const answer = await world.deliver('fuzzed', justNow());
    assert.equal(answer.status, 202, answer.text);
  });

  /** Asks again as senders do where the API server did not answer in time: what was sent is to blame for no 503, or it comes every time. */
  async function ask(client: RawClient, request: Buffer): Promise<RawOutcome | string> {
    for (let tries = 1; ; tries++) {
      const outcome = await client
        .ask(request, { method: 'POST', withinMs: ANSWER_WITHIN_MS })
        .catch((error: unknown) => String(error));
      const isAway = typeof outcome === 'object' && outcome.is === 'answered' && outcome.answer.status === 503;
      if (!isAway || outcome.answer.headers['retry-after'] === undefined || tries === MOST_TRIES) return outcome;
      await sleep(RETRY_MS);
    }
  }

  /** A request, most of which are signed, so that what lies behind the signature is met. */
  function requestOf(dice: Dice): Buffer {
    const body = bodyOf(dice);
    const hook = dice.once(20)
      ? dice.pick(['not-there', '..', '%00', 'a'.repeat(300), 'native/more'])
      : dice.pick(['fuzzed', 'native']);
    const type = dice.once(30)
      ? dice.pick(['text/plain', '', 'application/jsonp', 'APPLICATION/JSON;charset="latin1"'])
      : dice.pick(['application/json', 'application/json; charset=utf-8', 'application/cloudevents+json']);
    const lines = [
      `POST /hooks/${world.namespace}/${hook} HTTP/1.1`,
      'Host: hooks.invalid',
      `Content-Length: ${dice.once(200) ? 2_000_000_000 : body.length}`,
      `Content-Type: ${type}`,
      ...(dice.once(8) ? oddHeaders(dice) : []),
      `Gotk-Component: ${dice.pick(['source-controller', 'kustomize-controller', ''])}`,
      ...(dice.once(25) ? dice.pick(badSignatures) : [`X-Signature: ${signatureOf(world.token, body)}`]),
      '\r\n',
    ];
    return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body]);
  }

  /** A signed event counts for ten minutes. */
  function justNow(): EventBody {
    return { ...event, timestamp: fluxEvent({ namespace: world.namespace, name: 'fuzzed' }).timestamp };
  }

  function bodyOf(dice: Dice): Buffer {
    if (dice.once(LONG_ONE_IN)) {
      const text = dice.pick(['a', '[', '{"a":', '"\\u0061",', ' ', '1,', '{},']);
      const long = text.repeat(Math.floor(LONG_BYTES / text.length));
      return Buffer.from(dice.once(2) ? long : goJson({ ...justNow(), message: long }));
    }
    if (dice.once(12)) return Buffer.from(Array.from({ length: dice.below(200) }, () => dice.below(256)));
    const bent = JSON.parse(goJson(justNow())) as Record<string, unknown>;
    for (let bends = dice.below(4); bends > 0; bends--) bend(bent, dice);
    const text = goJson(bent);
    if (!dice.once(10)) return Buffer.from(text);
    const at = dice.below(text.length);
    return Buffer.from(dice.once(2) ? text.slice(0, at) : text.slice(0, at) + dice.pick(odd) + text.slice(at + 1));
  }
});

/** Replaces, adds or takes away something somewhere in an object. */
function bend(object: Record<string, unknown>, dice: Dice): void {
  const names = Object.keys(object);
  const name = dice.once(4) || names.length === 0 ? dice.pick(odd) : dice.pick(names);
  const inner = Object.hasOwn(object, name) ? object[name] : undefined; // what it inherits is everybody's
  if (typeof inner === 'object' && inner !== null && !Array.isArray(inner) && !dice.once(3)) {
    bend(inner as Record<string, unknown>, dice);
  } else if (dice.once(4)) {
    delete object[name];
  } else {
    const value = dice.pick<unknown>([...odd, null, true, -1, 1e308, [], {}, [[[[]]]], { a: { b: 'c' } }, deep(40)]);
    // Not assigned: `__proto__` is to be a key as any other.
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  }
}

function deep(levels: number): unknown {
  return levels === 0 ? 'ground' : { a: deep(levels - 1) };
}

const odd = [
  '',
  '.',
  '..',
  '/',
  '\0',
  '\n',
  '\u2028',
  'ü🚀',
  '\ud800',
  '$(uid)',
  '$(tt.params.rev)',
  '__proto__',
  'constructor',
  'a'.repeat(400),
  'main@sha1:',
  'main@sha1:zz',
  "commit '",
  '%2e%2e',
  '1e400',
];

const badSignatures = [
  [],
  ['X-Signature: '],
  ['X-Signature: sha256='],
  ['X-Signature: sha1=aa'],
  [`X-Signature: sha256=${'0'.repeat(64)}`],
  ['X-Signature: a', 'X-Signature: b'],
] as const;

function oddHeaders(dice: Dice): string[] {
  return Array.from({ length: 1 + dice.below(5) }, () => {
    const name = dice.pick([
      'X-Odd',
      'gotk-component',
      'X-GITHUB-delivery',
      'Content-Encoding',
      'Accept',
      'Cookie',
      'X_Y',
    ]);
    const value = dice.pick(['', 'gzip', 'identity', 'ü', 'a'.repeat(2_000), '$(uid)', '"', ';;;']);
    return `${name}: ${value}`;
  });
}

function complaintAbout(outcome: RawOutcome): string | undefined {
  if (outcome.is === 'late') return 'no answer';
  if (outcome.is === 'closed') return 'closed without an answer';
  const { status, headers, body } = outcome.answer;
  const text = body.toString();
  if (status >= 500) return `${status} ${text}`;
  const trace = /\bat \S+ \(|node:internal|node_modules|\.ts:\d|\/src\/|\/tmp\/|\/home\/|\b\w*Error:/.exec(text);
  if (trace !== null) return `${status} says too much (${trace[0]}): ${text}`;
  if (!/^application\/json/.test(headers['content-type'] ?? '')) return `${status} that is no JSON: ${text}`;
  if (status >= 400 && Buffer.byteLength(text) >= 256)
    return `${status} with ${Buffer.byteLength(text)} bytes: ${text}`;
  return undefined;
}

/** What is refused for its pace is another test's matter. */
const withoutLimits = { HOOKS_PER_SECOND: '0', MAX_HOOKS: '1000' };
