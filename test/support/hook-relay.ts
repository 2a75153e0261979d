/**
 * Stands where notification-controller does: a controller of Flux posts its events here, and they go on to hooks without their
 * prefixes, signed, as its Alerts and Providers say.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type Notified, notify, type Provider } from './hook-client.ts';
import { type EventBody, forwarded } from './hook-events.ts';

/** An Alert and its Provider. */
export interface Alert {
  readonly provider: Provider;
  /** Of the objects that it is about. */
  readonly namespace: string;
  readonly kind: string;
  /** `*`: all of them. */
  readonly name: string;
}

/** What went on to one hook. */
export interface Forwarded {
  readonly event: EventBody;
  readonly came: Notified;
}

/** A running relay. */
export interface FluxRelay {
  /** What `--events-addr` is to be. */
  readonly address: string;
  /** Every event that came, with its prefixes, oldest first. */
  readonly received: readonly EventBody[];
  /** Every event that went on, when its delivery was over. */
  readonly sent: readonly Forwarded[];
  /** From now on events that the Alert matches go to its Provider. */
  alert(alert: Alert): void;
  close(): Promise<void>;
}

/** Starts one on a loopback port. */
export async function startFluxRelay(): Promise<FluxRelay> {
  const alerts: Alert[] = [];
  const received: EventBody[] = [];
  const sent: Forwarded[] = [];
  const server = createServer(async (request, response) => {
    const event = JSON.parse((await buffer(request)).toString()) as EventBody;
    response.writeHead(202).end(); // before anything is delivered, as notification-controller does
    received.push(event);
    const { kind, namespace, name } = event.involvedObject;
    for (const alert of alerts) {
      const isMeant = alert.kind === kind && alert.namespace === namespace && ['*', name].includes(alert.name);
      if (!isMeant || event.severity === 'trace') continue;
      const body = forwarded(event);
      void notify(alert.provider, body).then((came) => sent.push({ event: body, came }));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}/`,
    received,
    sent,
    alert: (alert) => void alerts.push(alert),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
