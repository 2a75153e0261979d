/** `status.provenance`: under which of Tekton's settings a run was made. */
import type { Json } from '../../object.ts';

/** Tekton 1.15's own defaults, of which only those that are set are listed. Nested runs work without `alpha` here. */
const featureFlags = {
  awaitSidecarReadiness: true,
  coschedule: 'workspaces',
  enableAPIFields: 'beta',
  enableProvenanceInStatus: true,
  enforceNonfalsifiability: 'none',
  maxResultSize: 4096,
  resultExtractionMethod: 'termination-message',
  runningInEnvWithInjectedSidecars: true,
  sendCloudEventsForRuns: true,
  verificationNoMatchPolicy: 'ignore',
};

/** The provenance a run has with what it had before. */
export function provenance(before: Json | undefined): Json {
  const known = before !== null && typeof before === 'object' && !Array.isArray(before) ? before : {};
  return { ...known, featureFlags };
}
