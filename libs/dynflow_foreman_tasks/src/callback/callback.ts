import { isJsonObject, type JsonValue } from '@dynflow/kernel';
import type { LocalOutcome } from '@dynflow/contracts';
import { defineLocalAction, type LocalRunContext } from '@dynflow/plugin';
import { z } from 'zod';

/** Name of the effect that posts a callback; see `plugin.ts`. */
export const POST_CALLBACK = 'postCallback';

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 5 * 60_000;
/** Foreman is asked no longer than this; then the plan pauses, with everything that Foreman can still fetch by its status. */
const GIVE_UP_AFTER_MS = 24 * 3_600_000;

const CallbackInput = z.object({
  /** Foreman's own words, echoed untouched: `{ task_id, step_id }`. */
  callback: z.record(z.string(), z.json()),
  /** The output of the job: a reference until it is posted. */
  data: z.json(),
});

/**
 * Tells Foreman how a job ended: parked until Foreman has it, tried again with growing pauses, at-least-once. Foreman takes a callback
 * twice without harm; it is sent twice only if its answer was lost or the gateway was restarted at that moment.
 */
export const Callback = defineLocalAction({
  name: 'Callback',
  input: CallbackInput,
  run: (context): LocalOutcome => {
    const { event } = context;
    const { sinceMs, failures } = checkpointOf(context);
    if (event?.kind === 'effect' && event.ok) {
      return { kind: 'done', output: {} };
    }
    if (event?.kind === 'effect') {
      const { error } = event;
      if (context.nowMs - sinceMs > GIVE_UP_AFTER_MS) {
        return { kind: 'failed', error: { ...error, message: `Foreman did not take the callback for a day: ${error.message}` } };
      }
      const pauseMs = pauseAfter(failures + 1, context.plan);
      return parked(
        { sinceMs, failures: failures + 1 },
        `Foreman (${error.message}); next try in ${Math.round(pauseMs / 1_000)} s`,
        pauseMs,
      );
    }
    context.effect(POST_CALLBACK, { callback: context.input.callback, data: context.input.data });
    return parked({ sinceMs, failures }, 'Foreman to take the callback');
  },
});

function parked(checkpoint: { sinceMs: number; failures: number }, waitingFor: string, wakeAfterMs?: number): LocalOutcome {
  return { kind: 'suspended', checkpoint, waitingFor, ...(wakeAfterMs === undefined ? {} : { wakeAfterMs }) };
}

function checkpointOf(context: LocalRunContext<unknown>): { sinceMs: number; failures: number } {
  const { checkpoint } = context;
  return isJsonObject(checkpoint) && typeof checkpoint['sinceMs'] === 'number' && typeof checkpoint['failures'] === 'number'
    ? { sinceMs: checkpoint['sinceMs'], failures: checkpoint['failures'] }
    : { sinceMs: context.nowMs, failures: 0 };
}

/** Doubles up to five minutes. The plan's id spreads the jobs of a batch over a quarter of the pause: no herd knocks at once. */
function pauseAfter(failures: number, plan: string): number {
  const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS);
  let spread = 0;
  for (const character of plan) {
    spread = (spread * 31 + character.charCodeAt(0)) % 1_000;
  }
  return pauseMs * (1 + spread / 4_000);
}

/**
 * The body that Foreman expects. A job that never said anything still has a result and an exit status, because Foreman refuses a
 * callback without.
 */
export function callbackBody(payload: JsonValue): JsonValue {
  const { callback, data } = isJsonObject(payload) ? payload : { callback: null, data: null };
  const output = isJsonObject(data ?? null) ? (data as { [key: string]: JsonValue }) : {};
  return {
    callback: callback ?? null,
    data: { ...output, result: output['result'] ?? [], exit_status: output['exit_status'] ?? 'EXCEPTION' },
  };
}
