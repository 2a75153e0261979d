/** The real kubectl against a sandbox: everything that a user of the demo is told to try. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '../support/eventually.ts';
import { runProgram } from '../support/program.ts';
import { type RunningSandbox, startSandbox } from '../support/sandbox.ts';
import { connect } from './cluster.ts';

/** A kubectl takes its time to begin on a busy machine. */
const patience = { withinMs: 120_000 };

let sandbox: RunningSandbox;
let program: string;
let environment: Readonly<Record<string, string | undefined>>;

before(async () => {
  program = (await connect()).kubectl.file;
  sandbox = await startSandbox({ life: true });
  environment = {
    ...process.env,
    KUBECONFIG: sandbox.kubeconfigFile,
    KUBECACHEDIR: join(sandbox.folder, 'cache'),
    // What kubectl edit opens: adds a key where there is a data field.
    EDITOR: "sed -i 's/^data:$/data:\\n  edited: by hand/'",
  };
  await kubectl('create', 'namespace', 'tried');
  await kubectl('config', 'set-context', '--current', '--namespace=tried');
});

after(() => sandbox?.end());

/** What it printed. Throws what it complained about. */
async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, { env: environment });
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** What it complained about. Throws when it did not. */
async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await runProgram(program, args, { env: environment });
  assert.notEqual(code, 0, `kubectl ${args.join(' ')} was not refused`);
  return stderr;
}

/** As `kubectl`, with this on standard input. */
async function piped(input: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args, { env: environment, input });
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A kubectl that stays: its lines so far. `end` ends it. */
function staying(...args: string[]): { readonly lines: readonly string[]; end(): void } {
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { lines, end: () => child.kill() };
}

const pod = (name: string, script: string, more = '') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: docker.io/library/busybox:1
      command: [sh, -c, "${script}"]
${more}`;

const colours = (data: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: colours }
data: { ${data} }
`;

describe('kubectl against the sandbox: objects', () => {
  it('version: tells client and server', async () => {
    const { serverVersion } = JSON.parse(await kubectl('version', '-o', 'json')) as {
      serverVersion: { minor: string };
    };
    assert.equal(serverVersion.minor, '34');
  });

  it('api-resources and api-versions: list core kinds, Tekton and Flux', async () => {
    const kinds = await kubectl('api-resources', '--no-headers');
    for (const kind of [
      /^pods +po +v1 +true +Pod$/m,
      /^pipelineruns +.*tekton\.dev\/v1 +true +PipelineRun$/m,
      /GitRepository$/m,
    ]) {
      assert.match(kinds, kind);
    }
    assert.match(await kubectl('api-versions'), /^tekton\.dev\/v1$/m);
  });

  it('explain: describes fields of a core kind and of a custom one', async () => {
    assert.match(
      await kubectl('explain', 'pods.spec.restartPolicy'),
      /KIND: +Pod\nVERSION: +v1\n\nFIELD: restartPolicy <string>/,
    );
    assert.match(await kubectl('explain', 'pipelineruns.spec'), /GROUP: +tekton\.dev/);
  });

  it('create: an object from words, from a file, and not twice', async () => {
    assert.equal(await kubectl('create', 'configmap', 'words', '--from-literal=a=b'), 'configmap/words created\n');
    assert.equal(
      await piped('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"file"}}', 'create', '-f', '-'),
      'secret/file created\n',
    );
    assert.match(await refused('create', 'configmap', 'words'), /configmaps "words" already exists/);
    assert.equal(
      await kubectl('create', 'configmap', 'dry', '--dry-run=server'),
      'configmap/dry created (server dry run)\n',
    );
    assert.match(await refused('get', 'configmap', 'dry'), /NotFound.*configmaps "dry" not found/);
  });

  it('create: says what the server refuses', async () => {
    const manifest = join(sandbox.folder, 'unknown.yaml');
    await writeFile(manifest, 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: unknown }\ncolour: red\n');
    assert.match(await refused('create', '-f', manifest), /unknown field "colour"/);
    assert.match(await refused('create', 'configmap', 'Upper'), /a lowercase RFC 1123 subdomain/);
  });

  it('apply: creates, configures, finds nothing to do, and removes what is no longer said', async () => {
    assert.equal(await piped(colours('a: red, b: green'), 'apply', '-f', '-'), 'configmap/colours created\n');
    assert.equal(await piped(colours('a: red, b: green'), 'apply', '-f', '-'), 'configmap/colours unchanged\n');
    assert.equal(await piped(colours('a: blue'), 'apply', '-f', '-'), 'configmap/colours configured\n');
    assert.equal(await kubectl('get', 'configmap', 'colours', '-o', 'jsonpath={.data}'), '{"a":"blue"}');
  });

  it('diff: shows what an apply would change, and ends with 1', async () => {
    await piped(colours('a: blue'), 'apply', '-f', '-');
    const { code, stdout } = await runProgram(program, ['diff', '-f', '-'], {
      env: environment,
      input: colours('a: black'),
    });
    assert.equal(code, 1);
    assert.match(stdout, /^- {2}a: blue\n\+ {2}a: black$/m);
    await piped(colours('a: blue'), 'diff', '-f', '-');
  });

  it('apply --server-side: owns its fields, and conflicts with others', async () => {
    const manifest = (data: string) => colours(data).replace('name: colours', 'name: owned');
    assert.equal(
      await piped(manifest('a: red'), 'apply', '--server-side', '-f', '-'),
      'configmap/owned serverside-applied\n',
    );
    const other = ['apply', '--server-side', '--field-manager=other', '-f', '-'];
    const { code, stderr } = await runProgram(program, other, { env: environment, input: manifest('a: blue') });
    assert.equal(code, 1);
    assert.match(stderr, /conflict with "kubectl": \.data\.a/);
    assert.equal(
      await piped(manifest('a: blue'), ...other, '--force-conflicts'),
      'configmap/owned serverside-applied\n',
    );
    assert.match(await kubectl('get', 'configmap', 'owned', '-o', 'yaml', '--show-managed-fields'), /manager: other/);
  });

  it('apply: a custom object, and again with a change', async () => {
    const task = (image: string) => `
apiVersion: tekton.dev/v1
kind: Task
metadata: { name: hello }
spec: { steps: [{ name: say, image: ${image}, command: [echo, hello] }] }
`;
    assert.equal(await piped(task('a'), 'apply', '-f', '-'), 'task.tekton.dev/hello created\n');
    assert.equal(await piped(task('b'), 'apply', '-f', '-'), 'task.tekton.dev/hello configured\n');
    assert.equal(await kubectl('get', 'task', 'hello', '-o', 'jsonpath={.spec.steps[0].image}'), 'b');
  });

  it('apply --prune: removes what is no longer there', async () => {
    const labelled = (name: string) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, labels: { set: pruned } }\n`;
    await piped(`${labelled('one')}---\n${labelled('two')}`, 'apply', '-f', '-');
    const prune = ['apply', '--prune', '-l', 'set=pruned', '--prune-allowlist=core/v1/ConfigMap', '-f', '-'];
    assert.match(await piped(labelled('one'), ...prune), /configmap\/two pruned/);
  });

  it('get: in every form', async () => {
    await piped(colours('a: blue'), 'apply', '-f', '-');
    assert.match(await kubectl('get', 'configmap', 'colours'), /^NAME +DATA +AGE\ncolours +1 +\d+[smh]\d*s?\n$/);
    assert.match(await kubectl('get', 'cm', 'colours', '-o', 'yaml'), /^kind: ConfigMap$/m);
    assert.equal(
      (JSON.parse(await kubectl('get', 'cm', 'colours', '-o', 'json')) as { kind: string }).kind,
      'ConfigMap',
    );
    assert.equal(await kubectl('get', 'cm', 'colours', '-o', 'name'), 'configmap/colours\n');
    assert.equal(await kubectl('get', 'cm', 'colours', '-o', 'jsonpath={.data.a}'), 'blue');
    assert.equal(await kubectl('get', 'cm', 'colours', '-o', 'go-template={{.data.a}}'), 'blue');
    const columns = await kubectl('get', 'cm', 'colours', '-o', 'custom-columns=WHO:.metadata.name,A:.data.a');
    assert.match(columns, /^WHO +A\ncolours +blue\n$/);
    assert.match(await kubectl('get', 'pods', '-o', 'wide', '-A'), /NODE|^$/);
  });

  it('get: by label, by field, sorted, in pages, of all namespaces', async () => {
    for (const [name, weight] of [
      ['a', '3'],
      ['b', '1'],
      ['c', '2'],
    ] as const) {
      await kubectl('create', 'configmap', `sorted-${name}`, `--from-literal=weight=${weight}`);
      await kubectl('label', 'configmap', `sorted-${name}`, 'set=sorted');
    }
    const get = ['get', 'configmap', '-o', 'name', '-l', 'set=sorted'];
    const all = 'configmap/sorted-a\nconfigmap/sorted-b\nconfigmap/sorted-c\n';
    assert.equal(await kubectl(...get), all);
    assert.equal(await kubectl(...get, '--chunk-size=1'), all);
    assert.equal(await kubectl(...get, '--field-selector=metadata.name=sorted-b'), 'configmap/sorted-b\n');
    assert.match(await kubectl(...get, '--sort-by=.data.weight'), /sorted-b\n.*sorted-c\n.*sorted-a/);
    assert.match(
      await kubectl('get', 'configmap', '-A', '-l', 'set=sorted'),
      /^NAMESPACE +NAME +DATA +AGE\ntried +sorted-a/,
    );
    assert.match(await kubectl('get', 'all,cm', '--show-labels', '-l', 'set=sorted'), /set=sorted/);
  });

  it('get -w: tells of changes as they come', async () => {
    const watch = staying('get', 'configmap', '-w', '--no-headers', '-o', 'name', '-l', 'set=watched');
    try {
      await eventually(async () => {
        await piped(
          `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: watched, labels: { set: watched } }\n`,
          'apply',
          '-f',
          '-',
        );
        assert.ok(watch.lines.includes('configmap/watched'));
      }, patience);
    } finally {
      watch.end();
    }
  });

  it('get --raw: passes answers through', async () => {
    assert.equal(await kubectl('get', '--raw', '/readyz'), 'ok');
  });

  it('patch: merge, JSON, strategic, and of the status', async () => {
    await piped(colours('a: blue'), 'apply', '-f', '-');
    const patch = ['patch', 'configmap', 'colours'];
    assert.equal(await kubectl(...patch, '--type=merge', '-p', '{"data":{"b":"1"}}'), 'configmap/colours patched\n');
    assert.equal(
      await kubectl(...patch, '--type=json', '-p', '[{"op":"replace","path":"/data/b","value":"2"}]'),
      'configmap/colours patched\n',
    );
    assert.equal(await kubectl(...patch, '-p', '{"data":{"c":"3"}}'), 'configmap/colours patched\n');
    assert.equal(await kubectl(...patch, '-p', '{"data":{"c":"3"}}'), 'configmap/colours patched (no change)\n');
    assert.equal(
      await kubectl('get', 'configmap', 'colours', '-o', 'jsonpath={.data}'),
      '{"a":"blue","b":"2","c":"3"}',
    );
  });

  it('label, annotate: set, refuse to overwrite, remove', async () => {
    await kubectl('create', 'configmap', 'marked');
    assert.equal(await kubectl('label', 'configmap', 'marked', 'a=1'), 'configmap/marked labeled\n');
    assert.match(await refused('label', 'configmap', 'marked', 'a=2'), /--overwrite is false/);
    assert.equal(await kubectl('label', 'configmap', 'marked', 'a-'), 'configmap/marked unlabeled\n');
    assert.equal(await kubectl('annotate', 'configmap', 'marked', 'note=a word'), 'configmap/marked annotated\n');
    assert.equal(await kubectl('get', 'configmap', 'marked', '-o', 'jsonpath={.metadata.annotations.note}'), 'a word');
  });

  it('edit: opens an editor and saves what it left', async () => {
    await kubectl('create', 'configmap', 'edited', '--from-literal=a=b');
    assert.equal(await kubectl('edit', 'configmap', 'edited'), 'configmap/edited edited\n');
    assert.equal(await kubectl('get', 'configmap', 'edited', '-o', 'jsonpath={.data.edited}'), 'by hand');
  });

  it('replace: an object, and one that is made anew', async () => {
    await piped(colours('a: blue'), 'apply', '-f', '-');
    assert.equal(await piped(colours('z: new'), 'replace', '-f', '-'), 'configmap/colours replaced\n');
    assert.match(await piped(colours('y: newer'), 'replace', '--force', '-f', '-'), /configmap\/colours replaced\n$/);
  });

  it('delete: waits, by name, by label, and of what is not there', async () => {
    await kubectl('create', 'configmap', 'leaving');
    assert.match(await kubectl('delete', 'configmap', 'leaving', '--wait'), /^configmap "leaving" deleted/);
    assert.match(await refused('delete', 'configmap', 'leaving'), /NotFound/);
    await kubectl('delete', 'configmap', 'leaving', '--ignore-not-found');
    await kubectl('create', 'configmap', 'leaving');
    await kubectl('label', 'configmap', 'leaving', 'set=leaving');
    assert.match(await kubectl('delete', 'configmap', '-l', 'set=leaving'), /^configmap "leaving" deleted/);
  });

  it('delete --wait: of a namespace, which takes everything along', async () => {
    await kubectl('create', 'namespace', 'ending');
    await kubectl('create', 'configmap', 'inside', '-n', 'ending');
    assert.match(await kubectl('delete', 'namespace', 'ending', '--wait'), /^namespace "ending" deleted/);
    assert.match(await refused('get', 'namespace', 'ending'), /NotFound/);
  });

  it('describe: a config map, a custom object', async () => {
    await piped(colours('a: blue'), 'apply', '-f', '-');
    assert.match(
      await kubectl('describe', 'configmap', 'colours'),
      /^Name: +colours\nNamespace: +tried\n[\s\S]*a:\n----\nblue\n/,
    );
    assert.match(await kubectl('describe', 'namespace', 'tried'), /Status: +Active/);
  });

  it('a definition is applied, waited for, used and deleted', async () => {
    const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: gadgets.kubectl.test.rungate.dev }
spec:
  group: kubectl.test.rungate.dev
  scope: Namespaced
  names: { plural: gadgets, kind: Gadget }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: { spec: { type: object, properties: { size: { type: integer } } } }
      additionalPrinterColumns: [{ name: Size, type: integer, jsonPath: .spec.size }]
`;
    await piped(definition, 'apply', '-f', '-');
    await kubectl('wait', '--for=condition=Established', 'crd/gadgets.kubectl.test.rungate.dev', '--timeout=120s');
    const gadget = (size: string) =>
      `apiVersion: kubectl.test.rungate.dev/v1\nkind: Gadget\nmetadata: { name: g }\nspec: { size: ${size} }\n`;
    await piped(gadget('3'), 'apply', '-f', '-');
    assert.match(await kubectl('get', 'gadget', 'g'), /^NAME +SIZE\ng +3\n$/);
    const { stderr } = await runProgram(program, ['apply', '-f', '-'], { env: environment, input: gadget('large') });
    assert.match(stderr, /spec\.size in body must be of type integer/);
    await kubectl('delete', 'crd', 'gadgets.kubectl.test.rungate.dev', '--wait');
    assert.match(await refused('get', 'gadgets'), /doesn't have a resource type|could not find the requested resource/);
  });
});

describe('kubectl against the sandbox: who may what', () => {
  it('auth whoami: tells who one is', async () => {
    assert.match(await kubectl('auth', 'whoami'), /Username +kubernetes-admin/);
  });

  it('auth can-i: the administrator everything, a service account what it was given', async () => {
    assert.equal(await kubectl('auth', 'can-i', 'delete', 'pods'), 'yes\n');
    await kubectl('create', 'serviceaccount', 'reader');
    await kubectl('create', 'role', 'reader', '--verb=get,list', '--resource=pods,pods/log');
    await kubectl('create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=tried:reader');
    const as = ['--token', (await kubectl('create', 'token', 'reader')).trim()];
    const rights = async (...question: string[]) =>
      (await runProgram(program, [...question, ...as], { env: environment })).stdout;
    assert.equal(await rights('auth', 'can-i', 'list', 'pods'), 'yes\n');
    assert.match(await rights('auth', 'can-i', 'delete', 'pods'), /^no/);
    assert.match(await rights('auth', 'can-i', '--list'), /^pods\/log +\[\] +\[\] +\[get list\]$/m);
    assert.match(await rights('auth', 'whoami'), /Username +system:serviceaccount:tried:reader/);
    assert.match(await refused('delete', 'pod', 'any', ...as), /Forbidden.*cannot delete resource "pods"/);
  });
});

describe('kubectl against the sandbox: pods', () => {
  before(async () => {
    await piped(pod('lines', 'echo one; echo two; echo three'), 'apply', '-f', '-');
    const beside = '    - { name: beside, image: busybox, command: [sh, -c, echo beside] }\n';
    await piped(pod('both', 'echo main', beside), 'apply', '-f', '-');
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/lines', 'pod/both', '--timeout=120s');
  });

  it('get, describe: show how it ended', async () => {
    assert.match(
      await kubectl('get', 'pod', 'lines'),
      /^NAME +READY +STATUS +RESTARTS +AGE\nlines +0\/1 +Completed +0 /,
    );
    assert.match(await kubectl('get', 'pods', '-o', 'wide'), /IP +NODE +NOMINATED NODE +READINESS GATES\n/);
    const described = await kubectl('describe', 'pod', 'lines');
    assert.match(described, /Status: +Succeeded/);
    assert.match(described, /Reason: +Completed\n +Exit Code: +0/);
    assert.match(described, /Events:\n/);
  });

  it('logs: whole, the last, the young, with times', async () => {
    assert.equal(await kubectl('logs', 'lines'), 'one\ntwo\nthree\n');
    assert.equal(await kubectl('logs', 'lines', '--tail=1'), 'three\n');
    assert.equal(await kubectl('logs', 'lines', '--since=1h'), 'one\ntwo\nthree\n');
    assert.equal(await kubectl('logs', 'lines', '--limit-bytes=3'), 'one');
    assert.match(
      await kubectl('logs', 'lines', '--timestamps', '--tail=1'),
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z three\n$/,
    );
  });

  it('logs: of one container, of all, with their names, by label', async () => {
    assert.equal(await kubectl('logs', 'both', '-c', 'beside'), 'beside\n');
    // kubectl asks for the containers in no particular order.
    const sorted = async (...more: string[]) =>
      (await kubectl('logs', 'both', '--all-containers', ...more)).trim().split('\n').sort();
    assert.deepEqual(await sorted(), ['beside', 'main']);
    assert.deepEqual(await sorted('--prefix'), ['[pod/both/beside] beside', '[pod/both/main] main']);
    assert.equal(await kubectl('logs', '-l', 'app=lines', '--tail=1'), 'three\n');
    assert.match(await refused('logs', 'both', '-c', 'absent'), /container absent is not valid for pod both/);
  });

  it('logs -f: as lines come, and to the end', async () => {
    await piped(pod('ticking', 'echo one; sleep 1; echo two; sleep 1000'), 'apply', '-f', '-');
    await kubectl('wait', '--for=condition=Ready', 'pod/ticking', '--timeout=120s');
    const follow = staying('logs', '-f', 'ticking');
    try {
      await eventually(() => assert.deepEqual(follow.lines, ['one', 'two']), patience);
    } finally {
      follow.end();
    }
    assert.equal(await kubectl('logs', '-f', 'lines'), 'one\ntwo\nthree\n');
  });

  it('wait: for a deletion', async () => {
    await piped(pod('sleeping', 'sleep 1000'), 'apply', '-f', '-');
    await kubectl('wait', '--for=condition=Ready', 'pod/sleeping', '--timeout=120s');
    await kubectl('delete', 'pod', 'sleeping', '--wait=false');
    await kubectl('wait', '--for=delete', 'pod/sleeping', '--timeout=120s');
  });

  it('events: what happened to a pod', async () => {
    await eventually(async () => {
      const events = await kubectl('events', '--for', 'pod/lines');
      assert.match(events, /Normal +Scheduled +Pod\/lines/);
      assert.match(events, /Normal +Started +Pod\/lines/);
    }, patience);
    assert.match(await kubectl('get', 'events'), /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n/);
  });

  it('run: a pod from words', async () => {
    assert.equal(
      await kubectl('run', 'said', '--image=busybox', '--restart=Never', '--', 'echo', 'said'),
      'pod/said created\n',
    );
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/said', '--timeout=120s');
    assert.equal(await kubectl('logs', 'said'), 'said\n');
  });
});

describe('kubectl against the sandbox: runs', () => {
  it('a PipelineRun is created, waited for, shown and read', async () => {
    const run = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: { generateName: tried- }
spec:
  pipelineSpec:
    tasks:
      - name: greet
        taskSpec: { steps: [{ name: say, image: busybox, script: echo hello }] }
`;
    const name = (await piped(run, 'create', '-o', 'name', '-f', '-')).trim();
    await kubectl('wait', '--for=condition=Succeeded', name, '--timeout=120s');
    assert.match(
      await kubectl('get', name),
      /^NAME +SUCCEEDED +REASON +STARTTIME +COMPLETIONTIME\ntried-\w{5} +True +Succeeded /,
    );
    assert.match(await kubectl('describe', name), /Reason: +Succeeded/);
    const selector = `tekton.dev/pipelineRun=${name.slice('pipelinerun.tekton.dev/'.length)}`;
    assert.equal(await kubectl('logs', '-l', selector, '-c', 'step-say'), 'hello\n');
    assert.match(await kubectl('delete', name, '--wait'), /deleted/);
  });
});
