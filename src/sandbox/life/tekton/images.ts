/**
 * Names of Tekton's own images. Nothing is pulled by them: the kubelet knows what they stand for by the commands they are
 * run with, and the last by its name.
 */
export const entrypointImage = 'tekton/entrypoint:v1.15.0';
export const shellImage = 'tekton/shell:v1.15.0';
export const workingDirImage = 'tekton/workingdirinit:v1.15.0';
/** Put in the place of a sidecar's image when the steps are done, so that the sidecar ends. */
export const nopImage = 'tekton/nop:v1.15.0';
