/**
 * The command line of Tekton's entrypoint: how whoever builds a TaskRun's pod tells the kubelet when and how a step runs.
 * Both directions stand here, so that pods look as Tekton 1.15 makes them and are run as they look.
 * Flags: https://github.com/tektoncd/pipeline/blob/v1.15.0/cmd/entrypoint/README.md
 */
import { formatDuration, parseDuration } from './tekton/duration.ts';
import type { WhenExpression } from './tekton/types.ts';

/** Where the entrypoint lies in a step's container. */
export const entrypointPath = '/tekton/bin/entrypoint';

/** Where the entrypoint lies in the image that brings it, with which the first init container of a pod runs. */
export const entrypointImagePath = '/ko-app/entrypoint';

/** What makes the working directories of steps, in an init container of its own. */
export const workingDirInitPath = '/ko-app/workingdirinit';

/** What one step's entrypoint is told. Paths are paths of the container. */
export interface Entrypoint {
  /** Runs nothing before this file is there; its neighbour `<file>.err` says that a step before failed. */
  readonly waitFile?: string | undefined;
  /** The file must not only be there, it must have content: the pod's ready annotation. */
  readonly waitFileContent?: boolean | undefined;
  /** Written when the step has ended, as `<file>.err` when it failed. */
  readonly postFile: string;
  readonly terminationPath: string;
  /** Where the step's own results and artifacts lie. */
  readonly stepMetadataDir: string;
  /** `-docker-config=...` and their like, between the metadata folder and what the step says itself. */
  readonly extraArgs?: readonly string[] | undefined;
  readonly onError?: 'continue' | 'stopAndFail' | undefined;
  readonly timeoutMs?: number | undefined;
  readonly stdoutPath?: string | undefined;
  readonly stderrPath?: string | undefined;
  /** Names of the step's own results. */
  readonly stepResults?: readonly string[] | undefined;
  /** The step's `when`, as it is in the Task. */
  readonly when?: readonly WhenExpression[] | undefined;
  /** Names of the Task's results, those with a `value` of their own left out. */
  readonly results?: readonly string[] | undefined;
  /** Program and arguments. Empty: the Task named no command, so it would have been the image's. */
  readonly command: readonly string[];
}

/** A script and the file of the container it is put into. */
export interface PlacedScript {
  /** `/tekton/scripts/script-0-abcde` */
  readonly file: string;
  /** With its interpreter line. */
  readonly text: string;
}

/** The arguments of a step's container; its command is `[entrypointPath]`. In the order in which Tekton gives them. */
export function entrypointArgs(entrypoint: Entrypoint): string[] {
  const { waitFile, waitFileContent, onError, timeoutMs, stdoutPath, stderrPath, when, command } = entrypoint;
  const [program, ...args] = command;
  return [
    ...flag('-wait_file', waitFile),
    ...(waitFileContent ? ['-wait_file_content'] : []),
    ...flag('-post_file', entrypoint.postFile),
    ...flag('-termination_path', entrypoint.terminationPath),
    ...flag('-step_metadata_dir', entrypoint.stepMetadataDir),
    ...(entrypoint.extraArgs ?? []),
    ...flag('-on_error', onError),
    ...flag('-timeout', timeoutMs === undefined ? undefined : formatDuration(timeoutMs)),
    ...flag('-stdout_path', stdoutPath),
    ...flag('-stderr_path', stderrPath),
    ...flag('-step_results', entrypoint.stepResults?.join(',')),
    ...flag('--when_expressions', when === undefined ? undefined : JSON.stringify(when)),
    ...flag('-results', entrypoint.results?.join(',')),
    ...flag('-entrypoint', program),
    '--',
    ...args,
  ];
}

/**
 * What a container's command and arguments tell the entrypoint; undefined when the container does not run a step. Flags
 * that are not known are left out, as are their values where they are written as one word (`-x=y`).
 */
export function parseEntrypoint(
  command: readonly string[] | undefined,
  args: readonly string[] | undefined,
): Entrypoint | undefined {
  if (command?.[0] !== entrypointPath) return undefined;
  const words = [...command.slice(1), ...(args ?? [])];
  const dashes = words.indexOf('--');
  if (dashes < 0) return undefined; // a subcommand: decode-script, init
  const said = flagsIn(words.slice(0, dashes));
  const program = said.get('entrypoint');
  const onError = said.get('on_error');
  const timeout = said.get('timeout');
  const when = said.get('when_expressions');
  return {
    waitFile: said.get('wait_file'),
    waitFileContent: said.has('wait_file_content'),
    postFile: said.get('post_file') ?? '',
    terminationPath: said.get('termination_path') ?? '/tekton/termination',
    stepMetadataDir: said.get('step_metadata_dir') ?? '',
    onError: onError === 'continue' || onError === 'stopAndFail' ? onError : undefined,
    timeoutMs: timeout === undefined ? undefined : parseDuration(timeout),
    stdoutPath: said.get('stdout_path'),
    stderrPath: said.get('stderr_path'),
    stepResults: namesIn(said.get('step_results')),
    // As it was marshalled from a validated Task.
    when: when === undefined ? undefined : (JSON.parse(when) as WhenExpression[]),
    results: namesIn(said.get('results')),
    command: program === undefined ? [] : [program, ...words.slice(dashes + 1)],
  };
}

/** A step's script as it is placed: with Tekton's default interpreter when it has no interpreter line of its own. */
export function withInterpreter(script: string): string {
  return script.trim().startsWith('#!') ? script : `#!/bin/sh\nset -e\n${script}`;
}

/** The arguments of the init container `place-scripts`; its command is `['sh']`. */
export function placeScriptsArgs(scripts: readonly PlacedScript[]): string[] {
  const blocks = scripts.map(({ file, text }) =>
    [
      `scriptfile="${file}"`,
      `touch \${scriptfile} && chmod +x \${scriptfile}`,
      `cat > \${scriptfile} << '_EOF_'`,
      // Base64, so that Kubernetes does not take a script's $(...) for variables of its own.
      Buffer.from(text).toString('base64'),
      '_EOF_',
      `${entrypointPath} decode-script "\${scriptfile}"`,
      '',
    ].join('\n'),
  );
  return ['-c', blocks.join('')];
}

/** The scripts that the arguments of a `place-scripts` container place; undefined when it is something else. */
export function parsePlacedScripts(args: readonly string[] | undefined): PlacedScript[] | undefined {
  const [option, text] = args ?? [];
  if (option !== '-c' || text === undefined || !text.startsWith('scriptfile="')) return undefined;
  const blocks = text.matchAll(/^scriptfile="([^"]*)"\n[^\n]*\n[^\n]*<< '_EOF_'\n([^\n]*)\n_EOF_\n/gm);
  return [...blocks].map(([, file = '', encoded = '']) => ({ file, text: Buffer.from(encoded, 'base64').toString() }));
}

function flag(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}

/** The flags as Go's flag package reads them: one dash or two, `-name value` or `-name=value`. */
function flagsIn(words: readonly string[]): Map<string, string> {
  const said = new Map<string, string>();
  for (let place = 0; place < words.length; place++) {
    const [, name, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(words[place] ?? '') ?? [];
    if (name === undefined) continue;
    if (value !== undefined) said.set(name, value);
    else if (isBoolean(name)) said.set(name, 'true');
    else said.set(name, words[++place] ?? '');
  }
  return said;
}

function isBoolean(name: string): boolean {
  return ['wait_file_content', 'breakpoint_on_failure', 'debug_before_step', 'enable_spire'].includes(name);
}

function namesIn(list: string | undefined): string[] | undefined {
  return list?.split(',').filter((name) => name !== '');
}
