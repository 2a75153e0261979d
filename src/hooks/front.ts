/** What stands in front of hooks, whatever they belong to: the door, and the past of what came through it. */
import type { Clock } from '../clock.ts';
import type { KubeReader } from '../kube/client.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { createDoor, type Door } from './door.ts';
import type { HookBook } from './hook.ts';
import { createIntake } from './intake.ts';
import { createKeys } from './keys.ts';
import { createPace, type PaceSettings } from './pace.ts';
import { createReception } from './reception.ts';
import { createReplay } from './replay.ts';

/** The settings, as src/settings.ts explains them. */
export interface FrontSettings extends PaceSettings {
  readonly allowUnauthenticatedHooks: boolean;
  readonly maxHookBytes: number;
}

/** What it is made of. */
export interface FrontParts {
  readonly settings: FrontSettings;
  readonly book: HookBook;
  /** Reads the Secrets of hooks. */
  readonly reader: Pick<KubeReader, 'get'>;
  /** Whether hosts lead to hooks as well, see `DoorParts`. */
  readonly takesHosts: boolean;
  /** Aborts when this process is stopping. */
  readonly draining: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'hookDelivery' | 'limited' | 'level'>;
}

/** Bodies that are being read at the same time: four for each delivery that may be under way, since strangers send as well. */
const BODIES_PER_PLACE = 4;
const BODY_MS = 30_000;
/** Of all those bodies: thousands of events, and a few of the largest that may be. Anybody can fill it. */
const MOST_BYTES_HELD = 64 * 1024 * 1024;

/** Makes it for the hooks in `book`. */
export function createFront(parts: FrontParts): { readonly door: Door; readonly deliveries: Deliveries } {
  const { settings, book, reader, takesHosts, draining, clock, log, metrics } = parts;
  const { allowUnauthenticatedHooks: allowUnauthenticated, maxHookBytes: mostBytes, maxHooks } = settings;
  const deliveries = createDeliveries();
  const intake = createIntake({
    most: BODIES_PER_PLACE * maxHooks,
    mostBytesHeld: MOST_BYTES_HELD,
    patienceMs: BODY_MS,
    clock,
  });
  metrics.level('hook bodies', () => intake.reading);
  const door = createDoor({
    book,
    keys: createKeys({ reader, allowUnauthenticated, clock }),
    pace: createPace(settings, { clock, metrics }),
    intake,
    reception: createReception({ replay: createReplay(clock), deliveries, clock, log, metrics }),
    deliveries,
    mostBytes,
    takesHosts,
    draining,
    clock,
    log,
    metrics,
  });
  return { door, deliveries };
}
