/** tkn as a peer: a process for each question, as the listener asked. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Fault } from '../src/fault.ts';
import { connect } from '../test/cluster/cluster.ts';
import type { World } from '../test/support/world.ts';

/** tkn, as the ServiceAccount that rungate asks as. */
export interface Tkn {
  /** Runs it and hands over what it prints; throws unless its exit code is 0. */
  run(args: readonly string[], each?: (bytes: Buffer) => void): Promise<void>;
}

/** The tkn of the cluster. Throws a Fault where there is none. */
export async function tknOf({ kubeconfig, namespace }: World): Promise<Tkn> {
  const { tkn } = await connect();
  if (tkn === undefined) throw new Fault('refused', 'there is no tkn to compare with: npm run cluster -- up builds it');
  return {
    async run(args, each = () => {}) {
      const child = spawn(tkn, [...args, '--namespace', namespace, '--kubeconfig', kubeconfig], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      child.stdout.on('data', each);
      child.stderr.on('data', (bytes: Buffer) => {
        said += bytes;
      });
      const [code] = (await once(child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`tkn ${args.join(' ')} ended with ${code}: ${said}`);
    },
  };
}
