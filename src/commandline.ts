/** The command line: which commands there are, what flags each takes, and what `--help` says of them. */
import { parseArgs } from 'node:util';
import { quoted, settingsHelp } from './config.ts';

/** What the command line asks for. */
export type Invocation =
  | { readonly ask: 'help' }
  | { readonly ask: 'version' }
  | { readonly ask: 'run'; readonly kubeconfig: string | undefined; readonly context: string | undefined }
  | { readonly ask: 'demo'; readonly keep: boolean; readonly simulate: boolean }
  | { readonly ask: 'hash-password'; readonly name: string | undefined; readonly kind: 'argon2id' | 'scrypt' }
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
    purpose: 'Serves status and logs of Tekton runs over HTTP.',
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
} as const satisfies Record<string, { readonly purpose: string; readonly flags: Readonly<Record<string, Flag>> }>;

/** Reads the arguments after the program's name. */
export function readFlags(args: readonly string[]): Invocation {
  const [first = ''] = args;
  const command = first !== '' && Object.hasOwn(commands, first) ? (first as keyof typeof commands) : '';
  const flags: Readonly<Record<string, Flag>> = { ...commonFlags, ...commands[command].flags };
  // Lenient, so that the sentence about a mistake is ours.
  const { tokens } = parseArgs({
    args: args.slice(command === '' ? 0 : 1),
    options: Object.fromEntries(
      Object.entries(flags).map(([name, { type, short }]) => [name, { type, ...(short ? { short } : {}) }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string | undefined>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') return nothing(`unexpected argument ${quoted(token.value)}`);
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (flag === undefined) return nothing(`unknown flag ${token.rawName}`);
    if (flag.type === 'string' && !token.value) return nothing(`${token.rawName} needs a value`);
    if (flag.type === 'boolean' && token.value !== undefined) return nothing(`${token.rawName} takes no value`);
    given.set(token.name, token.value);
  }
  if (given.has('help')) return { ask: 'help' };
  if (given.has('version')) return { ask: 'version' };
  if (command === 'demo') return { ask: 'demo', keep: given.has('keep'), simulate: given.has('simulate') };
  if (command === 'hash-password') {
    return { ask: 'hash-password', name: given.get('name'), kind: given.has('scrypt') ? 'scrypt' : 'argon2id' };
  }
  return { ask: 'run', kubeconfig: given.get('kubeconfig'), context: given.get('context') };
}

function nothing(mistake: string): Invocation {
  return { ask: 'nothing', mistake: `${mistake}; rungate --help lists what there is` };
}

/** What `--help` prints. */
export function helpText(): string {
  const flagLines = (flags: Readonly<Record<string, Flag>>) =>
    Object.entries(flags).map(([name, { value = '', purpose }]) => row(`--${name}${value}`, purpose));
  const commandLines = Object.entries(commands).flatMap(([name, { purpose, flags }]) => [
    `rungate${name === '' ? '' : ` ${name}`} [flags]`,
    `  ${purpose}`,
    ...flagLines(flags),
    '',
  ]);
  const settingLines = settingsHelp().map(({ variable, purpose }) => row(variable, purpose));
  return [
    ...commandLines,
    'With each:',
    ...flagLines(commonFlags),
    '',
    'Everything else is set by environment variables:',
    ...settingLines,
    '',
  ].join('\n');
}

function row(name: string, purpose: string): string {
  return `  ${name.padEnd(22)} ${purpose}`;
}
