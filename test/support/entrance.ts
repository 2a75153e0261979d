/** What stands between a port and the routes, with nothing limited that a test does not mean: for tests of the app. */
import { type Clock, systemClock } from '../../src/clock.ts';
import { networks } from '../../src/gateway/address.ts';
import type { GatewayParts } from '../../src/gateway/app.ts';
import { sameOriginOnly } from '../../src/gateway/callers/cors.ts';
import { createLimits, type LimitSettings } from '../../src/gateway/callers/limits.ts';
import { createTickets } from '../../src/gateway/callers/tickets.ts';
import { silentMetrics } from '../../src/metrics.ts';

/** Limits that no test meets by accident. */
export function wideLimits(changes: Partial<LimitSettings> = {}, clock: Clock = systemClock) {
  const settings = { maxStreams: 1_000, maxWaiters: 1_000, requestsPerSecond: 0, requestBurst: 100, ...changes };
  return createLimits(settings, { clock, metrics: silentMetrics });
}

/** The parts of an app that have nothing to do with what it serves. */
export function openEntrance(clock: Clock = systemClock) {
  return {
    clock,
    limits: wideLimits({}, clock),
    tickets: createTickets({ clock, metrics: silentMetrics }),
    cors: sameOriginOnly,
    trustedProxies: networks([]),
    maxUrlBytes: 8_192,
    defaultNamespace: 'ci',
  } satisfies Partial<GatewayParts>;
}
