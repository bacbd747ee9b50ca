import { isJsonObject, messageOf, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { z } from 'zod';
import { defineAction, type ActionDefinition } from './action.js';
import {
  DEFAULT_PACE,
  attemptsIn,
  pollingStep,
  type PollAttempts,
  type PollingDecision,
  type PollingEvent,
  type PollingPace,
  type PollingState,
} from './polling-step.js';
import { CancelRequested, StepFailure, suspend, type RunContext, type Suspension } from './run-context.js';

type Context<Schema extends z.ZodType, Services> = RunContext<z.output<Schema>, Services>;

/** An action that starts a task elsewhere and asks for it until it is done. */
export interface PollingDefinition<Schema extends z.ZodType = z.ZodType, Services = unknown>
  extends Omit<ActionDefinition<Schema, Services>, 'run' | 'cancelParked' | 'cancellable'>, Partial<PollingPace> {
  /** Starts the task. What it returns is kept in the output under `task`. */
  invoke: (context: Context<Schema, Services>) => Promise<JsonValue>;
  /** Asks for the task, as it was last kept. What it returns is kept in its place. */
  poll: (context: Context<Schema, Services>, task: JsonValue) => Promise<JsonValue>;
  isDone: (task: JsonValue) => boolean;
  /** How much of the task is done, 0 to 1. */
  progressOf?: (task: JsonValue) => number;
  /** The action fails when the task is not done after this time, whatever else happens. */
  timeoutMs?: number;
  /** When it is done. What it returns is merged into the output. */
  onFinish?: (context: Context<Schema, Services>, task: JsonValue) => Promise<JsonObject | void>;
  /**
   * Cancels the task, once, and once more if a cancel by force follows. It is polled on until it is done. Without this, a cancel ends the
   * action where it waits, and nobody tells the task.
   */
  cancel?: (context: Context<Schema, Services>, task: JsonValue, options: { isForced: boolean }) => Promise<void>;
}

/** The event that is planned for the next poll; a number tells it from one that was planned before another poll came between. */
function pollEvent(number: number): JsonObject {
  return { polling: 'poll', number };
}

const TIMEOUT_EVENT: JsonObject = { polling: 'timeout' };

/**
 * Declares an action that polls: Dynflow's `Action::Polling`. Between polls it is parked, without executor or slot; its next poll and its
 * time limit are stored.
 *
 * The output has `task` and `poll_attempts` (`total`, and `failed` in a row). Failures of polls below `maxFailures` are only logged. Run
 * again, it asks for the task that it knows; if that fails, it starts it anew. An executor that was lost while it polled is followed by
 * another; one that was lost while it started the task leaves it unknown whether there is one, and the action fails saying so, unless it
 * is `idempotent`. The event `{ polling: 'poll' }` makes it poll at once.
 */
export function definePollingAction<Schema extends z.ZodType, Services = unknown>(
  definition: PollingDefinition<Schema, Services>,
): ActionDefinition<Schema, Services> {
  const { intervalsMs, attemptsPerInterval, maxFailures } = definition;
  const pace: PollingPace = {
    intervalsMs: intervalsMs ?? DEFAULT_PACE.intervalsMs,
    attemptsPerInterval: attemptsPerInterval ?? DEFAULT_PACE.attemptsPerInterval,
    maxFailures: maxFailures ?? DEFAULT_PACE.maxFailures,
  };
  return defineAction<Schema, Services>({
    resumable: true,
    ...definition,
    cancellable: true,
    cancelParked: definition.cancel === undefined ? 'end' : 'invoke',
    run: async (context) => new PollingRun(definition, pace, context).run(),
  });
}

/** One invocation. */
class PollingRun<Schema extends z.ZodType, Services> {
  readonly #definition: PollingDefinition<Schema, Services>;
  readonly #pace: PollingPace;
  readonly #context: Context<Schema, Services>;
  #task: JsonValue | undefined;
  /** What was cancelled already: a cancel, or one by force. */
  #cancelled: 'no' | 'yes' | 'by force';

  constructor(definition: PollingDefinition<Schema, Services>, pace: PollingPace, context: Context<Schema, Services>) {
    this.#definition = definition;
    this.#pace = pace;
    this.#context = context;
    this.#task = context.output['task'];
    const cancelled = isJsonObject(context.checkpoint ?? null) ? (context.checkpoint as JsonObject)['cancelled'] : undefined;
    this.#cancelled = cancelled === 'yes' || cancelled === 'by force' ? cancelled : 'no';
  }

  async run(): Promise<JsonObject | Suspension> {
    const event = this.#wokenBy();
    if (event.kind === 'begun') {
      this.#begin();
    }
    const isTold = await this.#cancelIfAsked();
    const state: PollingState = {
      hasTask: this.#task !== undefined,
      attempts: attemptsIn(this.#context.output) ?? { total: 0, failed: 0 },
    };
    const first = isTold && event.kind !== 'timeout' ? ({ kind: 'poll', number: undefined } as const) : event;
    return this.#follow(pollingStep(state, first, this.#pace));
  }

  /** What this invocation is for. Without any event it is the first, or the step was resumed. */
  #wokenBy(): PollingEvent {
    const events: JsonValue[] = [];
    this.#context.onEvent((data) => void events.push(data));
    const kinds = events.flatMap((data) => (isJsonObject(data) ? [data] : []));
    if (kinds.some((data) => data['polling'] === 'timeout')) {
      return { kind: 'timeout' };
    }
    const poll = kinds.findLast((data) => data['polling'] === 'poll');
    if (poll !== undefined) {
      return { kind: 'poll', number: typeof poll['number'] === 'number' ? poll['number'] : undefined };
    }
    // Something else woke it: the poll that is planned comes all the same.
    return events.length > 0 || this.#context.signal.aborted ? { kind: 'poll', number: -1 } : { kind: 'begun' };
  }

  #begin(): void {
    const { attempt, output } = this.#context;
    const { timeoutMs, idempotent } = this.#definition;
    if (attempt > 1 && this.#task === undefined && attemptsIn(output) === null && idempotent !== true) {
      this.#context.update({ output: { poll_attempts: { total: 0, failed: 0 } } });
      const message = 'its executor was lost while it started the task: look whether there is one, then resume to start it (again)';
      throw new StepFailure(message, 'unknown');
    }
    if (timeoutMs !== undefined) {
      this.#context.planEvent(TIMEOUT_EVENT, timeoutMs);
    }
  }

  /** @returns true if the task was told to end: then it is worth asking for it at once. */
  async #cancelIfAsked(): Promise<boolean> {
    const { signal } = this.#context;
    const { cancel } = this.#definition;
    const task = this.#task;
    if (!signal.aborted || cancel === undefined || task === undefined) {
      return false;
    }
    const isForced = signal.reason instanceof CancelRequested && signal.reason.isForced;
    if (this.#cancelled === 'by force' || (this.#cancelled === 'yes' && !isForced)) {
      return false;
    }
    await cancel(this.#context, task, { isForced });
    this.#cancelled = isForced ? 'by force' : 'yes';
    return true;
  }

  async #follow(decision: PollingDecision): Promise<JsonObject | Suspension> {
    switch (decision.do) {
      case 'invoke':
        return this.#follow(pollingStep({ hasTask: true, attempts: decision.attempts }, await this.#invoke(), this.#pace));
      case 'poll':
        return this.#follow(pollingStep({ hasTask: true, attempts: decision.attempts }, await this.#poll(decision), this.#pace));
      case 'wait':
      case 'keepWaiting':
        return (await this.#cancelIfAsked())
          ? this.#follow({ do: 'poll', attempts: decision.attempts, isFirst: false })
          : this.#wait(decision);
      case 'finish': {
        const task = this.#task ?? null;
        const more = await this.#definition.onFinish?.(this.#context, task);
        return { task, poll_attempts: countersOf(decision.attempts), ...more };
      }
      case 'giveUp':
        throw this.#failure;
      case 'timeOut':
        throw new StepFailure(`the task was not done after ${(this.#definition.timeoutMs ?? 0) / 1_000} s`, 'unknown');
    }
  }

  async #invoke(): Promise<PollingEvent> {
    try {
      this.#task = await this.#definition.invoke(this.#context);
    } catch (error) {
      // Known to have failed: the next run starts it.
      this.#context.update({ output: { poll_attempts: { total: 0, failed: 0 } } });
      throw error;
    }
    this.#context.update({ output: { task: this.#task, poll_attempts: { total: 0, failed: 0 } } });
    return { kind: 'invoked', isDone: this.#definition.isDone(this.#task) };
  }

  #failure: unknown;

  async #poll({ isFirst, attempts }: { isFirst: boolean; attempts: PollAttempts }): Promise<PollingEvent> {
    try {
      this.#task = await this.#definition.poll(this.#context, this.#task ?? null);
      return { kind: 'polled', isDone: this.#definition.isDone(this.#task) };
    } catch (error) {
      this.#failure = error;
      this.#context.update({ output: { poll_attempts: { total: attempts.total + 1, failed: attempts.failed + 1 } } });
      this.#context.log.warn('a poll failed', { reason: messageOf(error), failed: attempts.failed + 1 });
      return { kind: 'pollFailed', isFirst };
    }
  }

  #wait(decision: Extract<PollingDecision, { do: 'wait' | 'keepWaiting' }>): Suspension {
    const { progressOf } = this.#definition;
    const task = this.#task ?? null;
    return suspend({
      checkpoint: { cancelled: this.#cancelled },
      waitingFor: 'the outside task',
      ...(decision.do === 'wait' ? { wakeAfterMs: decision.afterMs, event: pollEvent(decision.number) } : {}),
      output: { task, poll_attempts: countersOf(decision.attempts) },
      ...(progressOf === undefined ? {} : { progress: progressOf(task) }),
    });
  }
}

function countersOf({ total, failed }: PollAttempts): JsonObject {
  return { total, failed };
}
