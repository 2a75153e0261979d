/** Every program of the cluster, on one page. */
import { controlPlane } from './controlplane.ts';
import { gitServer, sourceController } from './flux.ts';
import { containerd, nodePrograms } from './node.ts';
import type { Parts } from './parts.ts';
import type { Program } from './processes.ts';
import type { Settings } from './settings.ts';

/** Read down to start, up to stop: each may rely on every one above it. */
export function everyProgram(settings: Settings, parts: Parts): Program[] {
  return [
    ...controlPlane(settings, parts),
    containerd(settings.folder),
    ...nodePrograms(settings, parts),
    gitServer(settings),
    sourceController(settings, parts),
  ];
}
