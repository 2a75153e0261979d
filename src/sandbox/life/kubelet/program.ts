/** From a command as a pod has it to a program of this machine: there are no images, so programs are found by name. */
import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join } from 'node:path';

/** The program to run, or why there is none, as the system says it: `executable file not found in $PATH`. */
export type Found = { readonly program: string } | { readonly missing: string };

/**
 * Finds what a command names. A path that is not there, `/usr/local/bin/node`, stands for the program of that name in
 * `searchPath`, because it was the image's.
 */
export function findProgram(
  command: string,
  { searchPath, folder }: { readonly searchPath: string; readonly folder: string },
): Found {
  if (command.includes('/')) {
    const path = isAbsolute(command) ? command : join(folder, command);
    if (isExecutable(path)) return { program: path };
    const elsewhere = isAbsolute(command) ? search(basename(command), searchPath) : undefined;
    return elsewhere === undefined ? { missing: `no such file or directory` } : { program: elsewhere };
  }
  const program = command === '' ? undefined : search(command, searchPath);
  return program === undefined ? { missing: 'executable file not found in $PATH' } : { program };
}

/** What a script's first line asks for: `#!/usr/bin/env -S bash -e` is the program and all the rest as one argument. */
export function interpreterOf(script: string): readonly [program: string, ...argument: string[]] | undefined {
  const [, line] = /^#![ \t]*([^\n]*)/.exec(script) ?? [];
  if (line === undefined) return undefined;
  const [, program = '', argument] = /^([^ \t]*)[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
  return argument ? [program, argument] : [program];
}

function search(name: string, searchPath: string): string | undefined {
  return searchPath
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
