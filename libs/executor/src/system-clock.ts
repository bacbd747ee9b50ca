import { randomUUID } from 'node:crypto';
import type { Clock, IdSource } from '@dynflow/kernel';

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  at: (atMs, callback) => {
    const timer = setTimeout(callback, Math.max(0, atMs - systemClock.now()));
    return () => clearTimeout(timer);
  },
};

/** Random identifiers. */
export const randomIds: IdSource = { uuid: () => randomUUID() };
