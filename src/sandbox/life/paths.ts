/** Paths of a container's file system that only the machine it runs on can resolve. */

/**
 * Stands for `path` of the container's file system in a command, script or variable; whoever runs the container replaces it
 * by the folder of this machine that stands for it. `$(results.sum.path)` becomes `$(sandbox:/tekton/results/sum)`.
 */
export function inContainer(path: string): string {
  return `$(sandbox:${path})`;
}

/** `text` with every such path replaced by what `resolve` says. */
export function resolvePaths(text: string, resolve: (path: string) => string): string {
  return text.replace(/\$\(sandbox:([^)]*)\)/g, (_, path: string) => resolve(path));
}
