/**
 * Ways in which the API goes wrong on demand, for tests alone: a fault is handed to the constructor, and nothing outside the
 * process can ask for one.
 */
import type { KubeObject, Resource } from '../object.ts';
import { forbidden, outdated, StatusError } from '../status.ts';

/** A write that is about to be stored. */
export interface PendingWrite {
  readonly verb: 'create' | 'update' | 'patch' | 'delete';
  readonly group: string;
  readonly plural: string;
  readonly subresource: string;
  readonly object: KubeObject;
}

/** One way to go wrong. Each hook is called for whatever happens and chooses what it is meant for. */
export interface ApiFault {
  /** Throws a StatusError instead of letting the write be stored. */
  beforeWrite?(write: PendingWrite): void;
  /** True: the write is stored, and its answer is never sent. */
  losesAnswer?(write: PendingWrite): boolean;
  /** Throws a StatusError at the start of a watch. */
  beforeWatch?(resource: Resource): void;
  /** How long each delivery of a watch is held back. */
  watchDelayMs?(resource: Resource): number;
}

/** Which writes a fault is meant for: all of them, or those that fit everything that is given. */
export interface WriteFilter {
  readonly verb?: PendingWrite['verb'];
  readonly plural?: string;
  readonly subresource?: string;
  readonly name?: string;
}

/** 409 on the n-th write (counted from 1) that fits, as if somebody else had written first. */
export function conflictOnWrite(n: number, filter: WriteFilter = {}): ApiFault {
  return nthWrite(n, filter, ({ group, plural, object }) => {
    throw outdated({ group, plural }, object.metadata.name);
  });
}

/** The n-th write that fits is stored, and the connection breaks before its answer. */
export function loseAnswer(n: number, filter: WriteFilter = {}): ApiFault {
  let count = 0;
  return {
    losesAnswer(write) {
      if (!fits(write, filter)) return false;
      count += 1;
      return count === n;
    },
  };
}

/** Every create of the plural in that namespace exceeds the quota, in the words of a ResourceQuota. */
export function quotaFull(plural: string, namespace: string, { quota = 'quota', limit = 1 } = {}): ApiFault {
  return {
    beforeWrite(write) {
      if (write.verb !== 'create' || write.plural !== plural || write.object.metadata.namespace !== namespace) return;
      const why = `exceeded quota: ${quota}, requested: ${plural}=1, used: ${plural}=${limit}, limited: ${plural}=${limit}`;
      throw forbidden({ group: write.group, plural }, write.object.metadata.name, why);
    },
  };
}

/** Every write that fits is denied by a webhook of that name. */
export function denyAdmission(webhook: string, reason: string, filter: WriteFilter = {}): ApiFault {
  return {
    beforeWrite(write) {
      if (!fits(write, filter)) return;
      const text = `admission webhook ${JSON.stringify(webhook)} denied the request: ${reason}`;
      throw new StatusError(403, 'Forbidden', text);
    },
  };
}

/** The next `times` watches of the plural are told that their resourceVersion is gone. */
export function expireWatch(plural: string, times = 1): ApiFault {
  let left = times;
  return {
    beforeWatch(resource) {
      if (resource.plural !== plural || left === 0) return;
      left -= 1;
      throw new StatusError(410, 'Expired', 'too old resource version: 1 (2)');
    },
  };
}

/** Every delivery of the plural's watches comes late. */
export function slowWatch(plural: string, delayMs: number): ApiFault {
  return { watchDelayMs: (resource) => (resource.plural === plural ? delayMs : 0) };
}

function nthWrite(n: number, filter: WriteFilter, happen: (write: PendingWrite) => void): ApiFault {
  let count = 0;
  return {
    beforeWrite(write) {
      if (!fits(write, filter)) return;
      count += 1;
      if (count === n) happen(write);
    },
  };
}

function fits(write: PendingWrite, { verb, plural, subresource, name }: WriteFilter): boolean {
  return (
    (verb === undefined || write.verb === verb) &&
    (plural === undefined || write.plural === plural) &&
    (subresource === undefined || write.subresource === subresource) &&
    (name === undefined || write.object.metadata.name === name)
  );
}
