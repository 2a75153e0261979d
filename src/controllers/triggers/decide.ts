/**
 * What to do about a trigger, from everything that is known of it: which status it should have and which runs to create. Pure.
 *
 * An event becomes exactly one run because it is written down before anything is created: a line of the status says that a run
 * is intended and which number the event has, and the run is named after that. Whoever comes after a crash finds the
 * intent, creates the same name, and is told that it exists.
 */
import { present } from '../../kube/objects.ts';
import { type Hindrance, hindered, SUSPENDED, saidOf, saidOfSource, seriesOf, sumOf } from './conditions.ts';
import type { TriggerEvent } from './event.ts';
import { type Decision, LONGEST_WAIT_MS, type Order, type TriggerFacts } from './facts.ts';
import { follow, HOUR_MS, isIntended, withinHour, withStarts } from './follow.ts';
import { type News, newsOf } from './news.ts';
import {
  isOfFirstReleases,
  type MistakenSpec,
  type PipelineTrigger,
  pipelineOf,
  type TriggerSpec,
} from './resource.ts';
import {
  type Line,
  readStanding,
  requestOf,
  type Said,
  type Standing,
  type WrittenLine,
  writeStatus,
} from './status.ts';

/** Decides. The same facts give the same decision; what it says of the status is equal to what stands there when nothing has happened. */
export function decide(facts: TriggerFacts): Decision {
  const { trigger, now } = facts;
  const { spec } = trigger;
  if ('mistakes' in spec) return mistaken(trigger, spec, now);
  const before = readStanding(trigger);
  const news = newsOf(follow(before, spec, facts), spec, facts);
  return conclude({ ...news, standing: withStarts(news.standing, before, spec, now) }, spec, facts);
}

function mistaken(trigger: PipelineTrigger, spec: MistakenSpec, now: number): Decision {
  const message = spec.mistakes.join('; ');
  const said: Said = { type: 'Error', status: isOfFirstReleases(spec) ? 'True' : 'False', reason: 'Failed', message };
  return {
    status: writeStatus(trigger, { standing: readStanding(trigger), lines: [], said, now }),
    orders: [],
    asksFlux: false,
    done: [],
    warning: message,
    series: [{ sourceKind: spec.source.kind, repo: spec.source.name, type: said.type, status: said.status }],
  };
}

/** The status, the orders and what to tell, once it is known which lines there are. */
function conclude({ standing, events, done, leftOut, look }: News, spec: TriggerSpec, facts: TriggerFacts): Decision {
  const { trigger, source, now } = facts;
  const lines: WrittenLine[] = [];
  const orders: Order[] = [];
  const untils: number[] = typeof look === 'number' ? [look] : [];
  const { maxRunsPerHour = Number.POSITIVE_INFINITY } = spec.hook;
  const underWay = [...standing.lines.values()].filter(({ counted }) => counted).length;
  let left = maxRunsPerHour - withinHour(standing.recentRuns, now).length - underWay;
  let warning: string | undefined;
  for (const [name, noted] of standing.lines) {
    let line = noted;
    const event = events.get(name);
    let hindrance = isIntended(line) ? hindranceOf(name, line, event, spec, facts) : undefined;
    if (isIntended(line) && hindrance === undefined && event !== undefined) {
      const { sequence, attempt, byHand = false } = line;
      const isFree = byHand || line.counted === true || maxRunsPerHour === Number.POSITIVE_INFINITY;
      if (!isFree && left < 1) hindrance = hourFull(standing, maxRunsPerHour, underWay, now);
      else {
        if (!isFree) {
          line = { ...line, counted: true };
          left -= 1;
        }
        const credential = facts.credential?.ready === true ? facts.credential : undefined;
        const eventId = requestOf(standing, sequence);
        orders.push({ event, sequence, attempt, byHand, ...present({ credential, eventId }) });
      }
    }
    if (hindrance?.untilMs !== undefined) untils.push(hindrance.untilMs);
    if (hindrance?.type === 'Error') warning ??= hindrance.message;
    const said =
      hindrance === undefined
        ? saidOf(line, spec, line.run === undefined ? undefined : facts.run(line.run))
        : hindered(hindrance, spec);
    lines.push({ name, line, said, ...present({ shown: event?.shown, details: event?.details }) });
  }
  const onSource = saidOfSource(source, lines, spec);
  if (onSource?.type === 'Error') warning ??= onSource.message;
  const crowded = leftOut === 0 ? undefined : tooMany(leftOut, spec);
  if (crowded !== undefined) warning ??= crowded.message;
  const said = onSource ?? (crowded === undefined ? sumOf(lines) : hindered(crowded, spec));
  // Each line tells of the source's trouble too, as the original did: it is all that is known of any of them.
  const told = onSource?.type === 'Error' ? lines.map((line) => ({ ...line, said: onSource })) : lines;
  return {
    status: writeStatus(trigger, { standing, lines: told, said, now }),
    orders,
    asksFlux: look === 'ask',
    done,
    series: seriesOf(told, said, spec),
    ...present({ warning, againMs: untils.length > 0 ? Math.max(0, Math.min(...untils) - now) : undefined }),
  };
}

/** Of those that are followed nothing is forgotten for the sake of others: they would be run for again. */
function tooMany(leftOut: number, { source }: TriggerSpec): Hindrance {
  const branches = leftOut === 1 ? 'a branch' : `${leftOut} branches`;
  const message = `${source.kind} ${source.name} has ${branches} more than one PipelineTrigger can follow: no runs are started for ${leftOut === 1 ? 'it' : 'them'} while the others are there`;
  return { type: 'Error', message };
}

/** Waiting until so many of the runs of this hour are an hour old that there is room for another one. */
function hourFull({ recentRuns }: Standing, most: number, underWay: number, now: number): Hindrance {
  const recent = withinHour(recentRuns, now);
  const last = recent[recent.length + underWay - most];
  const runs = `${most} ${most === 1 ? 'run' : 'runs'}`;
  const message = `waiting for the hour to end in which ${runs} may be started, as spec.hook.maxRunsPerHour says`;
  if (last === undefined) return { type: 'Unknown', message }; // it has not begun for those that are being created
  const untilMs = Date.parse(last) + HOUR_MS;
  return { type: 'Unknown', message: `${message}: at ${new Date(untilMs).toISOString()}`, untilMs };
}

function hindranceOf(
  name: string,
  line: Line,
  event: TriggerEvent | undefined,
  spec: TriggerSpec,
  { trigger, source, pipelineMissing, credential, tried, now }: TriggerFacts,
): Hindrance | undefined {
  if (spec.suspend) return { type: 'Unknown', message: SUSPENDED };
  if (event === undefined && spec.hook.trustsEvents) {
    return { type: 'Error', message: 'the event of this run is not stored any longer: another one has to be posted' };
  }
  if (event === undefined) {
    const isSuspended = !('trouble' in source) && source.suspended;
    const what = isSuspended ? ', which is suspended' : ' to report its revision again';
    return { type: 'Unknown', message: `waiting for ${spec.source.kind} ${spec.source.name}${what}` };
  }
  if (pipelineMissing) return { type: 'Error', message: pipelineNotFound(spec) };
  if (spec.credential !== undefined && credential?.ready !== true) {
    const message = credential?.message ?? `ManagedCredential ${spec.credential.name} is not known yet`;
    return { type: 'Error', message };
  }
  const last = tried.get(name);
  if (last?.came !== 'refused' || last.sequence !== line.sequence || last.attempt !== line.attempt) return undefined;
  if (last.generation !== trigger.generation) return undefined;
  if (last.details !== undefined && last.details !== event.details) return undefined;
  if (last.untilMs !== undefined && (last.untilMs <= now || last.untilMs - now > LONGEST_WAIT_MS)) return undefined;
  return { type: 'Error', message: last.message, ...present({ untilMs: last.untilMs }) };
}

/** As the original words it: releases with `spec.pipeline` looked it up in a cache, all others at the API server. */
function pipelineNotFound(spec: TriggerSpec): string {
  const name = pipelineOf(spec.template) ?? '';
  return isOfFirstReleases(spec)
    ? `Pipeline.tekton.dev "${name}" not found`
    : `pipelines.tekton.dev "${name}" not found`;
}
