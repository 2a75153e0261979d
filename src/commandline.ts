/** The command line: which commands there are, what flags each takes, and what `--help` says of them. */
import {
  type GivenFlags,
  type OperatorFlag,
  type OperatorFlagName,
  operatorFlagOf,
  operatorFlags,
  takesValue,
} from './flags.ts';
import { settingsHelp } from './settings.ts';
import { quoted } from './values.ts';

/** What the command line asks for. */
export type Invocation =
  | { readonly ask: 'help' }
  | { readonly ask: 'version' }
  | {
      readonly ask: 'run';
      readonly kubeconfig: string | undefined;
      readonly context: string | undefined;
      /** Those of Pipeline Trigger Operator, not yet checked. */
      readonly operator: GivenFlags;
    }
  | { readonly ask: 'demo'; readonly keep: boolean; readonly simulate: boolean }
  | { readonly ask: 'hash-password'; readonly name: string | undefined; readonly kind: 'argon2id' | 'scrypt' }
  | { readonly ask: 'healthcheck' }
  | { readonly ask: 'nothing'; readonly mistake: string };

interface Flag {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** How its value is shown. */
  readonly value?: string;
  readonly purpose: string;
}

const commonFlags = {
  help: { type: 'boolean', short: 'h', purpose: 'Print this and exit.' },
  version: { type: 'boolean', short: 'v', purpose: 'Print the version and exit.' },
} as const satisfies Record<string, Flag>;

/** What may follow the program's name, and the flags of each. Without a command it serves. */
const commands = {
  '': {
    purpose:
      'Serves status and logs of Tekton runs over HTTP, and starts runs for PipelineTriggers and for what is posted to hooks.',
    flags: {
      kubeconfig: { type: 'string', value: ' <path>', purpose: 'Kubeconfig to use instead of KUBECONFIG.' },
      context: {
        type: 'string',
        value: ' <name>',
        purpose: 'Context of the kubeconfig to use instead of its current one.',
      },
    },
  },
  demo: {
    purpose: 'Serves a Kubernetes with Tekton and Flux that lives in this process: nothing else is needed to try it.',
    flags: {
      keep: { type: 'boolean', purpose: 'Keep what is there in .rungate/ for the next time.' },
      simulate: { type: 'boolean', purpose: 'Run no process for a step: play written scenarios instead.' },
    },
  },
  'hash-password': {
    purpose: 'Makes a line for AUTH_FILE: asks for a password twice, or reads one line of what is piped in.',
    flags: {
      name: { type: 'string', value: ' <name>', purpose: 'Name to write before the hash.' },
      scrypt: { type: 'boolean', purpose: 'Hash with scrypt instead of argon2id.' },
    },
  },
  healthcheck: {
    purpose: 'Asks the rungate beside it, at METRICS_PORT of HOST, whether it answers: exit code 0, else 1.',
    flags: {},
  },
} as const satisfies Record<string, { readonly purpose: string; readonly flags: Readonly<Record<string, Flag>> }>;

/**
 * Reads the arguments after the program's name as Go's flag package does, because those of Pipeline Trigger Operator come
 * that way: one dash or two, `--flag=value` or `--flag value`, and the last one counts where a flag is given twice. An empty
 * value counts as not given. https://pkg.go.dev/flag#hdr-Command_line_flag_syntax
 */
export function readFlags(args: readonly string[]): Invocation {
  const [first = ''] = args;
  const command = first !== '' && Object.hasOwn(commands, first) ? (first as keyof typeof commands) : '';
  const flags: Readonly<Record<string, Flag>> = { ...commonFlags, ...commands[command].flags };
  const given = new Map<string, string>();
  const operator = new Map<OperatorFlagName, string>();
  const rest = args.slice(command === '' ? 0 : 1);
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const [, dashed, name, value] = /^(--?([^-=][^=]*))(?:=([\s\S]*))?$/.exec(argument) ?? [];
    if (dashed === undefined || name === undefined) return nothing(`unexpected argument ${quoted(argument)}`);
    const own = ownFlag(flags, name);
    const theirs = command === '' ? operatorFlagOf(name) : undefined;
    if (own !== undefined) {
      const [known, { type }] = own;
      if (type === 'boolean' && value !== undefined) return nothing(`${dashed} takes no value`);
      const taken = type === 'boolean' ? 'true' : (value ?? rest.shift());
      if (taken === undefined) return nothing(`${dashed} needs a value`);
      given.set(known, taken);
    } else if (theirs !== undefined) {
      const taken = value ?? (takesValue(theirs) ? rest.shift() : 'true');
      if (taken === undefined) return nothing(`${dashed} needs a value`);
      operator.set(theirs, taken);
    } else {
      return nothing(`unknown flag ${dashed}`);
    }
  }
  const text = (name: string) => given.get(name) || undefined;
  if (given.has('help')) return { ask: 'help' };
  if (given.has('version')) return { ask: 'version' };
  if (command === 'healthcheck') return { ask: 'healthcheck' };
  if (command === 'demo') return { ask: 'demo', keep: given.has('keep'), simulate: given.has('simulate') };
  if (command === 'hash-password') {
    return { ask: 'hash-password', name: text('name'), kind: given.has('scrypt') ? 'scrypt' : 'argon2id' };
  }
  return { ask: 'run', kubeconfig: text('kubeconfig'), context: text('context'), operator };
}

/** A flag by its name or by its letter. */
function ownFlag(flags: Readonly<Record<string, Flag>>, written: string): readonly [name: string, Flag] | undefined {
  return Object.entries(flags).find(([name, { short }]) => name === written || short === written);
}

function nothing(mistake: string): Invocation {
  return { ask: 'nothing', mistake: `${mistake}; rungate --help lists what there is` };
}

/** What `--help` prints. */
export function helpText(): string {
  const commandLines = Object.entries(commands).flatMap(([name, { purpose, flags }]) => [
    `rungate${name === '' ? '' : ` ${name}`} [flags]`,
    `  ${purpose}`,
    ...rows(flagRows(flags)),
    '',
  ]);
  return [
    ...commandLines,
    'With each:',
    ...rows(flagRows(commonFlags)),
    '',
    'In the place of Pipeline Trigger Operator, the flags that it has:',
    ...rows(operatorRows().map(([name, purpose]) => [name, purpose.replaceAll('`', '')])),
    '',
    'Everything else is set by environment variables:',
    ...rows(settingsHelp().map(({ variable, purpose }) => [variable, purpose])),
    '',
  ].join('\n');
}

/** The flags of `rungate` without a command as the table of docs/configuration.md. */
export function flagsMarkdown(): string {
  const own = flagRows({ ...commonFlags, ...commands[''].flags });
  const lines = [...own, ...operatorRows()].map(([flag, purpose]) => `| \`${flag}\` | ${purpose} |`);
  return ['| Flag | Purpose |', '|---|---|', ...lines].join('\n');
}

type Row = readonly [name: string, purpose: string];

function flagRows(flags: Readonly<Record<string, Flag>>): readonly Row[] {
  return Object.entries(flags).map(([name, { value = '', purpose }]) => [`--${name}${value}`, purpose]);
}

function operatorRows(): readonly Row[] {
  const all: readonly (readonly [string, OperatorFlag<unknown>])[] = Object.entries(operatorFlags);
  return all.map(([name, { value, purpose }]) => [`--${name}${value === undefined ? '' : ` ${value}`}`, purpose]);
}

/** As wide as the widest needs, but one that is wider than most stands on a line of its own. */
function rows(all: readonly Row[]): readonly string[] {
  const width = Math.min(24, Math.max(...all.map(([name]) => name.length)));
  return all.flatMap(([name, purpose]) =>
    name.length > width ? [`  ${name}`, `  ${' '.repeat(width)} ${purpose}`] : [`  ${name.padEnd(width)} ${purpose}`],
  );
}
