/** `rungate healthcheck`: whether the rungate beside us answers, for container engines, which ask by a command. */
import { get } from 'node:http';
import { isIPv6 } from 'node:net';
import { settings } from './settings.ts';

/** Less than the image gives its HEALTHCHECK, so that the sentence is what is told, and not a kill. */
const PATIENCE_MS = 4_000;

/**
 * Asks `/livez` of METRICS_PORT and HOST, as `environment` has them for the other process. That port speaks HTTP whatever
 * PARTS, PORT and TLS_CERT_FILE say, and asks for no credentials.
 *
 * Resolves with undefined when it answers 200, else with the sentence to print; never rejects.
 */
export async function whyUnhealthy(
  environment: Readonly<Record<string, string | undefined>>,
  patienceMs = PATIENCE_MS,
): Promise<string | undefined> {
  const { metricsPort, host } = settings;
  const text = environment[metricsPort.variable] || metricsPort.fallback;
  const port = metricsPort.kind.read(text);
  if ('wrong' in port) return `${metricsPort.variable} ${port.wrong}; write ${metricsPort.kind.allowed}`;
  if (port.value === 0) return `${metricsPort.variable} is 0, so nobody knows which port to ask; write one`;
  const address = reachable(environment[host.variable] || '0.0.0.0');
  const url = `http://${isIPv6(address) ? `[${address}]` : address}:${port.value}/livez`;
  try {
    const status = await statusOf(url, patienceMs);
    return status === 200 ? undefined : `${url} answers ${status}`;
  } catch (error) {
    return `${url} does not answer: ${(error as Error).message || String((error as NodeJS.ErrnoException).code)}`;
  }
}

/** All addresses of a machine are bound by one that nobody can connect to everywhere. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

function statusOf(url: string, patienceMs: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, signal: AbortSignal.timeout(patienceMs) }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
  });
}
