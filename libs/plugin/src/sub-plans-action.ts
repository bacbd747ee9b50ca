import { derivedUuid, type JsonObject } from '@dynflow/kernel';
import type { LocalOutcome, SubPlanCounts, SubPlanRequest } from '@dynflow/contracts';
import type { z } from 'zod';
import { defineLocalAction, type LocalActionDefinition, type LocalRunContext } from './local-action.js';
import {
  asOutput,
  countersOf,
  countsOf,
  firstState,
  isNonePlanned,
  progressOf,
  stateIn,
  type SubPlanCounters,
  type SubPlansState,
} from './sub-plans-counts.js';
import { capacityOf, intervalMsOf, isHeldBack, nextStartMs, startsDue, type Pace } from './sub-plans-pace.js';

/** Made in one turn: enough to be quick, few enough that nothing else has to wait long. */
const MOST_A_TURN = 500;

/** What the callbacks of an action with sub-plans get. */
export interface SubPlansContext<Input> {
  readonly plan: string;
  readonly input: Input;
  readonly output: JsonObject;
  readonly counters: SubPlanCounters;
}

/** A value, or how it follows from the input. */
type FromInput<Input, Value> = Value | ((input: Input) => Value);

/** Those of a local action's options that are left to its author. */
type Options<Schema extends z.ZodType> = Omit<LocalActionDefinition<Schema>, 'run' | 'cancellable'>;

/** An action of the gateway that makes sub-plans and is done when they are. */
export interface SubPlansDefinition<Schema extends z.ZodType = z.ZodType> extends Options<Schema> {
  /** How many sub-plans there will be. It must not change while the plan runs. */
  totalCount: (input: z.output<Schema>) => number;
  /** Sub-plans `from` to `from + size - 1`, counted from 0. Pure: it may be asked for the same ones again. At most 500 are asked for. */
  batch: (input: z.output<Schema>, from: number, size: number) => SubPlanRequest[];
  /** Default 100. */
  batchSize?: number;
  /** How many run at once. They are made as they may begin. 0: all are made, and none begins. */
  concurrencyLimit?: FromInput<z.output<Schema>, number | undefined>;
  /**
   * They begin spread over this time: at first as many as may run at once (one if there is no limit), then one each
   * `spreadOverMs / (totalCount * concurrencyLimit)`. What has not begun when the time is over ends cancelled.
   */
  spreadOverMs?: FromInput<z.output<Schema>, number | undefined>;
  /** When all are made, once. What it returns is merged into the output. */
  onPlanningFinished?: (context: SubPlansContext<z.output<Schema>>) => JsonObject | void;
  /** When all have ended in success. What it returns is merged into the output. */
  onFinish?: (context: SubPlansContext<z.output<Schema>>) => JsonObject | void;
  /** When the plan is resumed, before anything is decided. What it returns is merged into the output. */
  onResume?: (context: SubPlansContext<z.output<Schema>>) => JsonObject | void;
  /** It hears of each end at once; this is only how often it looks again by itself. Default 15 s. */
  pollingIntervalMs?: number;
}

/**
 * Declares an action that makes sub-plans in batches, waits for all of them, and succeeds when all have: Dynflow's `WithSubPlans`,
 * `WithBulkSubPlans`, `WithPollingSubPlans` and `ThrottleLimiter` in one.
 *
 * Its output has `total_count`, `planned_count`, `success_count`, `failed_count`, `cancelled_count` and `pending_count`. One that ended
 * otherwise than in success makes it fail when all have ended, with the error class `SubtaskFailed`. Resumed, it counts again: it succeeds
 * if the failed ones have been resumed and have succeeded meanwhile; if not even one could be planned it asks for all of them again. A
 * cancel reaches sub-plans at any depth; those that wait end at once.
 *
 * All of this is kept over a restart.
 */
export function defineSubPlansAction<Schema extends z.ZodType>(definition: SubPlansDefinition<Schema>): LocalActionDefinition<Schema> {
  return defineLocalAction({ ...definition, cancellable: true, run: (context) => new SubPlansRun(definition, context).decide() });
}

/** One invocation. */
class SubPlansRun<Schema extends z.ZodType> {
  readonly #definition: SubPlansDefinition<Schema>;
  readonly #context: LocalRunContext<z.output<Schema>>;
  readonly #total: number;
  readonly #pace: Pace;
  #state: SubPlansState;
  #output: JsonObject = {};

  constructor(definition: SubPlansDefinition<Schema>, context: LocalRunContext<z.output<Schema>>) {
    this.#definition = definition;
    this.#context = context;
    this.#total = definition.totalCount(context.input);
    this.#pace = {
      limit: valueOf(definition.concurrencyLimit, context.input) ?? null,
      spreadOverMs: valueOf(definition.spreadOverMs, context.input) ?? null,
    };
    this.#state = stateIn(context.checkpoint) ?? firstState(context.nowMs);
  }

  get #counts(): SubPlanCounts {
    return countsOf(this.#context.subPlans, this.#state);
  }

  get #counters(): SubPlanCounters {
    return countersOf(this.#total, this.#counts, this.#state);
  }

  decide(): LocalOutcome {
    this.#hear();
    const fault = this.#makeMore();
    if (fault !== null) {
      return { kind: 'failed', error: { errorClass: 'SubPlansError', message: fault, kind: 'final' }, output: this.#allOutput() };
    }
    this.#letGo();
    const { made, isEnding, isSpawning, isPlanningFinished } = this.#state;
    const isMade = made >= this.#total || isEnding || isNonePlanned(this.#counts, this.#state);
    if (made >= this.#total && !isEnding && !isPlanningFinished) {
      this.#state = { ...this.#state, isPlanningFinished: true };
      this.#tell(this.#definition.onPlanningFinished);
    }
    // Of those that ended while they were made it hears in the same turn; then what is remembered here is stored.
    const isNews = this.#context.event?.kind === 'spawned' && this.#counts.total > 0;
    return isMade && !isSpawning && this.#counts.pending === 0 && !isNews ? this.#end() : this.#wait();
  }

  /** What this invocation is told. */
  #hear(): void {
    const { event, checkpoint, nowMs } = this.#context;
    const { spreadOverMs } = this.#pace;
    if (event === undefined) {
      this.#state = { ...this.#state, isSpawning: false };
      if (checkpoint !== undefined) {
        this.#hearAgain();
      }
    } else if (event.kind === 'spawned') {
      this.#state = { ...this.#state, isSpawning: false, made: this.#state.made + event.plans.length };
    } else if (event.kind === 'cancel') {
      this.#state = { ...this.#state, isEnding: true };
    }
    if (spreadOverMs !== null && nowMs >= this.#state.sinceMs + spreadOverMs && !this.#state.isEnding) {
      this.#state = { ...this.#state, isEnding: true };
      this.#context.cancelWaitingSubPlans(`The time in which it was to begin is over: ${spreadOverMs / 1_000} s after its parent began.`);
    }
  }

  /** After a restart, or resumed. Only a resumed one can have nothing to wait for. */
  #hearAgain(): void {
    const counts = this.#counts;
    const { made, generation, discounted } = this.#state;
    if (counts.pending > 0 || made === 0) {
      return;
    }
    this.#tell(this.#definition.onResume);
    if (isNonePlanned(counts, this.#state)) {
      this.#state = { ...firstState(this.#context.nowMs), generation: generation + 1, discounted: discounted + counts.failed };
    }
  }

  /** Asks for the next batch. @returns what is wrong with it, or null */
  #makeMore(): string | null {
    const { made, isEnding, isSpawning, generation } = this.#state;
    const counts = this.#counts;
    if (isEnding || isSpawning || made >= this.#total || isNonePlanned(counts, this.#state)) {
      return null;
    }
    const isHeld = isHeldBack(this.#pace);
    const capacity = isHeld ? null : capacityOf(this.#pace, counts.pending);
    const size = Math.min(this.#definition.batchSize ?? 100, MOST_A_TURN, this.#total - made, capacity ?? Infinity);
    if (size <= 0) {
      return null;
    }
    const { plan, step, input } = this.#context;
    const children = this.#definition.batch(input, made, size);
    if (children.length === 0 || children.length > size) {
      return `asked for ${size} sub-plans from ${made} on, "batch" gave ${children.length}`;
    }
    const withIds = children.map((child, index) => ({ id: derivedUuid(plan, step, generation, made + index), ...child }));
    const limit = isHeld ? 0 : this.#pace.limit;
    this.#context.spawn(withIds, limit === null ? {} : { concurrencyLimit: limit });
    this.#state = { ...this.#state, isSpawning: true };
    return null;
  }

  /** Lets those begin whose time has come. */
  #letGo(): void {
    const { isEnding, sinceMs, started } = this.#state;
    const { pending, waiting } = this.#counts;
    const due = isEnding
      ? 0
      : startsDue(this.#pace, { total: this.#total, sinceMs, nowMs: this.#context.nowMs, started, running: pending - waiting, waiting });
    if (due > 0) {
      this.#context.startSubPlans(due);
      this.#state = { ...this.#state, started: started + due };
    }
  }

  #end(): LocalOutcome {
    const counters = this.#counters;
    const { failed_count: failed, cancelled_count: cancelled, total_count: total } = counters;
    if (failed > 0 || cancelled > 0) {
      const message = `A sub task failed: of ${total} sub-plans ${failed} failed, ${cancelled} were cancelled, ${counters.success_count} succeeded`;
      const error = { errorClass: 'SubtaskFailed', message, code: 'DYN_SUB_PLANS_FAILED', kind: 'final' } as const;
      return { kind: 'failed', error, output: this.#allOutput() };
    }
    this.#tell(this.#definition.onFinish);
    return { kind: 'done', output: this.#allOutput() };
  }

  #wait(): LocalOutcome {
    const { nowMs } = this.#context;
    const { sinceMs, started, isEnding } = this.#state;
    const { spreadOverMs } = this.#pace;
    const moments = [nowMs + (this.#definition.pollingIntervalMs ?? 15_000)];
    if (spreadOverMs !== null && !isEnding) {
      moments.push(sinceMs + spreadOverMs);
      const nextMs = nextStartMs(this.#pace, { total: this.#total, sinceMs, started });
      if (nextMs !== null && nextMs > nowMs) {
        moments.push(nextMs);
      }
    }
    const counters = this.#counters;
    return {
      kind: 'suspended',
      checkpoint: { ...this.#state },
      waitingFor: `its sub-plans (${counters.pending_count} of ${counters.total_count} are not at rest)`,
      wakeAfterMs: Math.max(0, Math.min(...moments) - nowMs),
      output: this.#allOutput(),
      progress: progressOf(counters),
    };
  }

  #allOutput(): JsonObject {
    const intervalMs = intervalMsOf(this.#pace, this.#total);
    return {
      ...asOutput(this.#counters),
      ...(this.#pace.limit === null ? {} : { concurrency_limit: this.#pace.limit }),
      ...(intervalMs === null ? {} : { spread_over_ms: this.#pace.spreadOverMs, start_interval_ms: intervalMs }),
      ...this.#output,
    };
  }

  #tell(callback: ((context: SubPlansContext<z.output<Schema>>) => JsonObject | void) | undefined): void {
    const { plan, input, output } = this.#context;
    Object.assign(this.#output, callback?.({ plan, input, output, counters: this.#counters }));
  }
}

function valueOf<Input, Value extends number | undefined>(value: FromInput<Input, Value> | undefined, input: Input): Value | undefined {
  return typeof value === 'function' ? value(input) : value;
}
