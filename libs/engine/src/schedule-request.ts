import { InvalidInputError } from '@dynflow/kernel';
import type { Schedule } from '@dynflow/contracts';

/*
 * Schedules as they are asked for.
 */

/** A schedule with everything in it; null: there is none. */
export function scheduleOf(given: Partial<Schedule> | undefined): Schedule | null {
  if (given === undefined) {
    return null;
  }
  const { startAtMs = null, startBeforeMs = null, isFrozen = false, after = [] } = given;
  return { startAtMs, startBeforeMs, isFrozen, after: [...new Set(after)] };
}

/** @throws InvalidInputError for moments that are none, or a start that would come after the deadline. */
export function assertMoments({ startAtMs, startBeforeMs }: Pick<Schedule, 'startAtMs' | 'startBeforeMs'>): void {
  for (const [name, moment] of Object.entries({ startAtMs, startBeforeMs })) {
    if (moment !== null && !(Number.isFinite(moment) && Math.abs(moment) <= MAX_TIME_MS)) {
      throw new InvalidInputError(`schedule.${name}`, `schedule.${name}: expected a moment in epoch milliseconds, got ${String(moment)}`);
    }
  }
  if (startAtMs !== null && startBeforeMs !== null && startAtMs >= startBeforeMs) {
    throw new InvalidInputError(
      'schedule.startBeforeMs',
      'schedule.startBeforeMs: it is not after startAtMs, so the plan could never begin',
    );
  }
}

/** The last moment that a date can have. */
const MAX_TIME_MS = 8.64e15;
