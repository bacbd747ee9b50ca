import { definePlugin, defineLocalAction, planAction, sequence, fromInput, outputOf } from '@dynflow/plugin';
import { z } from 'zod';
import { VERSION } from './version.js';

const MAX_SLEEP_MS = 24 * 3_600_000;

/** Does nothing and is done: for trying the service out and for measuring it. */
const Noop = defineLocalAction({
  name: 'Noop',
  input: z.looseObject({}),
  run: () => ({ kind: 'done', output: {} }),
});

/** Gives its `value` back as output. */
const Echo = defineLocalAction({
  name: 'Echo',
  input: z.object({ value: z.json() }),
  run: (context) => ({ kind: 'done', output: { value: context.input.value } }),
});

/** Waits for `forMs` milliseconds without holding anything, and can be cancelled. */
const Sleep = defineLocalAction({
  name: 'Sleep',
  input: z.object({ forMs: z.number().int().min(0).max(MAX_SLEEP_MS) }),
  cancellable: true,
  run: (context) => {
    const { checkpoint, nowMs, event } = context;
    const untilMs = typeof checkpoint === 'number' ? checkpoint : nowMs + context.input.forMs;
    if (event?.kind === 'cancel' || nowMs >= untilMs) {
      return { kind: 'done', output: { isCancelled: event?.kind === 'cancel' } };
    }
    return { kind: 'suspended', checkpoint: untilMs, waitingFor: 'its time to pass', wakeAfterMs: untilMs - nowMs };
  },
});

/** Fails with its `message`. */
const Fail = defineLocalAction({
  name: 'Fail',
  input: z.object({ message: z.string() }),
  run: (context) => ({ kind: 'failed', error: { errorClass: 'Failure', message: context.input.message, kind: 'final' } }),
});

/** Three steps in sequence, each with the output of the one before: the smallest plan that shows flows and references. */
const Relay = defineLocalAction({
  name: 'Relay',
  input: z.object({ value: z.json() }),
  plan: [
    sequence(
      planAction('dynflow_api.Echo', { value: fromInput('value') }, { as: 'first' }),
      planAction('dynflow_api.Echo', { value: outputOf('first', 'value') }, { as: 'second' }),
      planAction('dynflow_api.Echo', { value: outputOf('second', 'value') }),
    ),
  ],
});

/** The actions that every gateway has, without any plugin. */
export const builtinPlugin = definePlugin({
  name: 'dynflow_api',
  version: VERSION,
  settings: { section: 'builtin', schema: z.object({}) },
  gateway: { actions: [Noop, Echo, Sleep, Fail, Relay] },
});
