import assert from 'node:assert/strict';
import {
  type Entrypoint,
  entrypointArgs,
  entrypointPath,
  parseEntrypoint,
  parsePlacedScripts,
  placeScriptsArgs,
  withInterpreter,
} from './entrypoint.ts';

const paths = {
  postFile: '/tekton/run/0/out',
  terminationPath: '/tekton/termination',
  stepMetadataDir: '/tekton/run/0/status',
};

/** Command lines as Tekton 1.15 writes them, recorded on a cluster. */
const lines: readonly { readonly name: string; readonly given: Entrypoint; readonly want: string }[] = [
  {
    name: 'the first step waits for the pod to be ready',
    given: {
      waitFile: '/tekton/downward/ready',
      waitFileContent: true,
      ...paths,
      command: ['/tekton/scripts/script-0-q2czt'],
    },
    want:
      '-wait_file /tekton/downward/ready -wait_file_content -post_file /tekton/run/0/out ' +
      '-termination_path /tekton/termination -step_metadata_dir /tekton/run/0/status ' +
      '-entrypoint /tekton/scripts/script-0-q2czt --',
  },
  {
    name: 'a step that may fail, with a time limit and results',
    given: {
      waitFile: '/tekton/run/0/out',
      waitFileContent: false,
      postFile: '/tekton/run/1/out',
      terminationPath: '/tekton/termination',
      stepMetadataDir: '/tekton/run/1/status',
      onError: 'continue',
      timeoutMs: 90_000,
      stepResults: ['size'],
      results: ['sum', 'list'],
      command: ['echo', 'a', '--', 'b'],
    },
    want:
      '-wait_file /tekton/run/0/out -post_file /tekton/run/1/out -termination_path /tekton/termination ' +
      '-step_metadata_dir /tekton/run/1/status -on_error continue -timeout 1m30s -step_results size ' +
      '-results sum,list -entrypoint echo -- a -- b',
  },
  {
    name: 'a step without a command',
    given: { waitFileContent: false, ...paths, command: [] },
    want: '-post_file /tekton/run/0/out -termination_path /tekton/termination -step_metadata_dir /tekton/run/0/status --',
  },
];

/** What is read back, without what was not said. */
function said(args: readonly string[]): unknown {
  return JSON.parse(JSON.stringify(parseEntrypoint([entrypointPath], args)));
}

describe("the entrypoint's command line", () => {
  for (const { name, given, want } of lines) {
    it(`${name}: is written as Tekton writes it, and read back`, () => {
      const args = entrypointArgs(given);
      assert.equal(args.join(' '), want);
      assert.deepEqual(said(args), given);
    });
  }

  it('a step with `when` is read back with it', () => {
    const when = [{ input: '$(params.x)', operator: 'in', values: ['a=b', 'c'] }];
    const args = entrypointArgs({ ...paths, when, command: ['true'] });
    assert.deepEqual(parseEntrypoint([entrypointPath], args)?.when, when);
  });

  for (const [timeoutMs, want] of [
    [3_000, '3s'],
    [250, '250ms'],
    [3_600_000, '1h0m0s'],
    [5_400_500, '1h30m0.5s'],
    [0, '0s'],
  ] as const) {
    it(`writes ${timeoutMs} ms as Go does, ${want}`, () => {
      const args = entrypointArgs({ ...paths, timeoutMs, command: ['true'] });
      assert.equal(args[args.indexOf('-timeout') + 1], want);
      assert.equal(parseEntrypoint([entrypointPath], args)?.timeoutMs, timeoutMs);
    });
  }

  it('is no entrypoint: another command, or a subcommand', () => {
    assert.equal(parseEntrypoint(['sh'], ['-c', 'true', '--']), undefined);
    assert.equal(parseEntrypoint([entrypointPath], ['decode-script', '/tekton/scripts/a']), undefined);
    assert.equal(parseEntrypoint(undefined, undefined), undefined);
  });

  it('credentials and flags that are not known do not disturb the others', () => {
    const entrypoint = { ...paths, extraArgs: ['-basic-git=push=https://git', '-enable_spire'], command: ['a', 'b'] };
    assert.deepEqual(said(entrypointArgs(entrypoint)), { ...paths, waitFileContent: false, command: ['a', 'b'] });
  });
});

describe('placed scripts', () => {
  it('are written as Tekton writes them', () => {
    assert.deepEqual(
      placeScriptsArgs([{ file: '/tekton/scripts/script-0-9wqfm', text: withInterpreter('echo a\n') }]),
      [
        '-c',
        `scriptfile="/tekton/scripts/script-0-9wqfm"
touch \${scriptfile} && chmod +x \${scriptfile}
cat > \${scriptfile} << '_EOF_'
IyEvYmluL3NoCnNldCAtZQplY2hvIGEK
_EOF_
/tekton/bin/entrypoint decode-script "\${scriptfile}"
`,
      ],
    );
  });

  it('are read back, whatever is in them', () => {
    const scripts = [
      {
        file: '/tekton/scripts/script-0-aaaaa',
        text: '#!/usr/bin/env bash\ncat << _EOF_\n$(params.x) \u00e4\n_EOF_\n',
      },
      { file: '/tekton/scripts/sidecar-script-0-bbbbb', text: withInterpreter('') },
    ];
    assert.deepEqual(parsePlacedScripts(placeScriptsArgs(scripts)), scripts);
  });

  it('are not seen in other commands', () => {
    assert.equal(parsePlacedScripts(['-c', 'echo']), undefined);
    assert.equal(parsePlacedScripts(undefined), undefined);
  });

  it('get the default interpreter only when they name none', () => {
    assert.equal(withInterpreter('echo'), '#!/bin/sh\nset -e\necho');
    assert.equal(withInterpreter('\n#!/bin/bash\necho'), '\n#!/bin/bash\necho');
  });
});
