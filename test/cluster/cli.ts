/** `npm run cluster -- up | status | env | down`: a real Kubernetes for tests, raised on this machine. */
import { dirname } from 'node:path';
import { Fault } from '../../src/fault.ts';
import { ownCluster } from './cluster.ts';
import { endForeground } from './commands.ts';
import { down } from './down.ts';
import { findExisting } from './existing.ts';
import { whyNot } from './machine.ts';
import { builtTkn, stopOwnBuild } from './parts.ts';
import { showProgress } from './progress.ts';
import { type Choice, chooseCluster, table } from './settings.ts';
import { statusOf } from './status.ts';
import { up } from './up.ts';

const progress = showProgress(process.stderr);

/** What each verb does with a cluster of our own, and with an existing one. Each returns the exit code. */
const verbs = {
  up: async (choice: Choice) => {
    if (choice.kind === 'own') await up(choice.settings, progress);
    else {
      const { server, capabilities } = await findExisting(process.env);
      progress.say(
        `The cluster at ${server} answers and has Tekton Pipelines ${capabilities.tektonVersion}. It is used as it is.`,
      );
    }
    return 0;
  },
  status: async (choice: Choice) => {
    if (choice.kind === 'existing') {
      const { server, capabilities } = await findExisting(process.env);
      print(`existing cluster at ${server}: ready, Tekton Pipelines ${capabilities.tektonVersion}`);
      return 0;
    }
    const reason = whyNot();
    if (reason) throw new Fault('refused', reason);
    const lines = await statusOf(choice.settings);
    const width = Math.max(...lines.map(({ what }) => what.length));
    for (const { what, well, detail } of lines) print(`${well ? 'ok  ' : 'FAIL'} ${what.padEnd(width)}  ${detail}`);
    return lines.every(({ well }) => well) ? 0 : 1;
  },
  env: async (choice: Choice) => {
    if (choice.kind === 'existing') {
      print(`export KUBECONFIG=${quote(choice.kubeconfig)}`);
      return 0;
    }
    const cluster = await ownCluster(choice.settings);
    if (!cluster)
      throw new Fault('refused', `No cluster in ${choice.settings.folder}. Raise one: npm run cluster -- up`);
    print(`export KUBECONFIG=${quote(cluster.kubectl.kubeconfig)}`);
    const tkn = await builtTkn(cluster.settings.cache);
    const folders = [cluster.kubectl.file, ...(tkn === undefined ? [] : [tkn])].map((file) => quote(dirname(file)));
    print(`export PATH=${folders.join(':')}:"$PATH"`);
    return 0;
  },
  down: async (choice: Choice) => {
    if (choice.kind === 'own') await down(choice.settings, progress);
    else
      progress.say('RUNGATE_CLUSTER=existing: that cluster is not ours to take down, and nothing of it was changed.');
    return 0;
  },
};

const help = `usage: npm run cluster -- up | status | env | down

  up      raises the cluster, or goes on where an interrupted \`up\` ended; builds what was never built
  status  says how each part is; exit code 0 only if all is well
  env     prints what a shell needs: eval "$(npm run --silent cluster -- env)"
  down    takes the cluster down and leaves nothing but the cache

settings, by environment variable:
${Object.entries(table)
  .map(([name, { standard, meaning }]) => `  ${name}  (standard: ${standard})\n      ${meaning}`)
  .join('\n')}
`;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** For a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function main(args: readonly string[]): Promise<number> {
  const [verb, ...rest] = args;
  if (verb === '--help' || verb === '-h' || verb === 'help') {
    process.stdout.write(help);
    return 0;
  }
  if (verb === undefined || rest.length > 0 || !Object.hasOwn(verbs, verb)) {
    process.stderr.write(`${verb === undefined ? 'Which verb?' : `Not understood: ${args.join(' ')}`}\n\n${help}`);
    return 2;
  }
  return verbs[verb as keyof typeof verbs](chooseCluster(process.env));
}

let interrupted = false;
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, async () => {
    interrupted = true;
    endForeground();
    await stopOwnBuild();
    // What was started of the cluster is recorded and runs on; nothing needs to be undone here.
    progress.say('Interrupted. `npm run cluster -- up` goes on from here, `down` removes what there is.');
    process.exit(code);
  });
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (interrupted) return; // what fails now fails because of us, and the line about that is on its way
    progress.say(
      error instanceof Fault && error.code !== 'internal' ? error.message : String((error as Error).stack ?? error),
    );
    process.exit(1); // other work of the same verb may still be under way
  },
);
