import { randomUUID } from 'node:crypto';
import type { Clock, IdSource } from '@dynflow/kernel';

/** The furthest that a timer reaches. */
const LONGEST_MS = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  at: (atMs, callback) => {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const delayMs = Math.max(0, atMs - Date.now());
      timer = delayMs > LONGEST_MS ? setTimeout(arm, LONGEST_MS) : setTimeout(callback, delayMs);
    };
    arm();
    return () => clearTimeout(timer);
  },
};

/** Random identifiers. */
export const randomIds: IdSource = { uuid: () => randomUUID() };
