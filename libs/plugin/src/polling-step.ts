import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';

/*
 * When an outside task is started, asked for, and given up: the decisions of polling actions, without doing any of it. Pure.
 */

/** How often it is asked. */
export interface PollingPace {
  /** Pauses between polls: the first ones, then the second ones, and so on; the last for ever. */
  readonly intervalsMs: readonly number[];
  /** How many polls before the next pause. */
  readonly attemptsPerInterval: number;
  /** So many failed polls in a row are the action's failure. */
  readonly maxFailures: number;
}

export const DEFAULT_PACE: PollingPace = { intervalsMs: [500, 1_000, 2_000, 4_000, 8_000, 16_000], attemptsPerInterval: 5, maxFailures: 3 };

/** All polls there were, and how many of the last ones in a row failed. */
export interface PollAttempts {
  readonly total: number;
  readonly failed: number;
}

/** What is known of the task. */
export interface PollingState {
  readonly hasTask: boolean;
  readonly attempts: PollAttempts;
}

/** What happened. `isFirst`: it was the first poll of a run that was begun again with a task that was known already. */
export type PollingEvent =
  | { readonly kind: 'begun' }
  | { readonly kind: 'poll'; readonly number: number | undefined }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'invoked'; readonly isDone: boolean }
  | { readonly kind: 'polled'; readonly isDone: boolean }
  | { readonly kind: 'pollFailed'; readonly isFirst: boolean };

/** What is to be done. */
export type PollingDecision =
  | { readonly do: 'invoke'; readonly attempts: PollAttempts }
  | { readonly do: 'poll'; readonly attempts: PollAttempts; readonly isFirst: boolean }
  | { readonly do: 'wait'; readonly attempts: PollAttempts; readonly afterMs: number; readonly number: number }
  /** The next poll is planned already. */
  | { readonly do: 'keepWaiting'; readonly attempts: PollAttempts }
  | { readonly do: 'finish' | 'giveUp' | 'timeOut'; readonly attempts: PollAttempts };

/** The next step. Begun again with a task it polls; if that first poll fails the task is taken for lost and started anew. */
export function pollingStep(state: PollingState, event: PollingEvent, pace: PollingPace): PollingDecision {
  const { attempts } = state;
  switch (event.kind) {
    case 'begun':
      return state.hasTask ? { do: 'poll', attempts, isFirst: true } : { do: 'invoke', attempts };
    case 'poll':
      // One that was planned before another poll came between is out of date.
      return event.number === undefined || event.number === attempts.total
        ? { do: 'poll', attempts, isFirst: false }
        : { do: 'keepWaiting', attempts };
    case 'timeout':
      return { do: 'timeOut', attempts };
    case 'invoked':
      return event.isDone ? { do: 'finish', attempts } : wait(attempts, pace);
    case 'polled': {
      const counted = { total: attempts.total + 1, failed: 0 };
      return event.isDone ? { do: 'finish', attempts: counted } : wait(counted, pace);
    }
    case 'pollFailed': {
      if (event.isFirst) {
        return { do: 'invoke', attempts: { total: 0, failed: 0 } };
      }
      const counted = { total: attempts.total + 1, failed: attempts.failed + 1 };
      return counted.failed >= pace.maxFailures ? { do: 'giveUp', attempts: counted } : wait(counted, pace);
    }
  }
}

function wait(attempts: PollAttempts, pace: PollingPace): PollingDecision {
  const level = Math.floor(attempts.total / pace.attemptsPerInterval);
  const afterMs = pace.intervalsMs[level] ?? pace.intervalsMs.at(-1) ?? 0;
  return { do: 'wait', attempts, afterMs, number: attempts.total };
}

/** The counters that stand in an output; null: it has none. */
export function attemptsIn(output: JsonObject): PollAttempts | null {
  const attempts: JsonValue | undefined = output['poll_attempts'];
  return attempts !== undefined && isJsonObject(attempts)
    ? { total: Number(attempts['total'] ?? 0), failed: Number(attempts['failed'] ?? 0) }
    : null;
}
