import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { SubPlanCounts } from '@dynflow/contracts';

/** What an action with sub-plans remembers from one invocation to the next. */
export interface SubPlansState {
  /** Counts up when all sub-plans of the one before failed in their planning and were asked for again. */
  readonly generation: number;
  /** How many sub-plans of earlier generations there are: all failed. */
  readonly discounted: number;
  /** How many of this generation are made, or were there. */
  readonly made: number;
  /** Some are being made. */
  readonly isSpawning: boolean;
  readonly isPlanningFinished: boolean;
  /** Nothing more is made or begun: it was cancelled, or its time is over. */
  readonly isEnding: boolean;
  /** When the first were asked for; with a pace in time, its beginning. */
  readonly sinceMs: number;
  /** How many of those that were held back have been let go. */
  readonly started: number;
}

/** Dynflow's counters, as they stand in the action's output. */
export interface SubPlanCounters {
  readonly total_count: number;
  readonly planned_count: number;
  readonly success_count: number;
  readonly failed_count: number;
  readonly cancelled_count: number;
  readonly pending_count: number;
}

export function firstState(nowMs: number): SubPlansState {
  return {
    generation: 0,
    discounted: 0,
    made: 0,
    isSpawning: false,
    isPlanningFinished: false,
    isEnding: false,
    sinceMs: nowMs,
    started: 0,
  };
}

/** The state that a checkpoint carries; undefined: there is none. */
export function stateIn(checkpoint: JsonValue | undefined): SubPlansState | undefined {
  return checkpoint !== undefined && isJsonObject(checkpoint) && typeof checkpoint['generation'] === 'number'
    ? (checkpoint as unknown as SubPlansState)
    : undefined;
}

const NONE: SubPlanCounts = { total: 0, pending: 0, waiting: 0, success: 0, failed: 0, unplanned: 0, cancelled: 0 };

/** How this generation's sub-plans stand. */
export function countsOf(counts: SubPlanCounts | undefined, { discounted }: SubPlansState): SubPlanCounts {
  const { total, failed, unplanned, ...rest } = counts ?? NONE;
  return { total: total - discounted, failed: failed - discounted, unplanned: unplanned - discounted, ...rest };
}

/** Those that were made, none of which could be planned: asking for more would be no use. */
export function isNonePlanned(counts: SubPlanCounts, { made }: SubPlansState): boolean {
  return made > 0 && counts.unplanned >= made;
}

/** The counters, from the counts and nothing else: what stands in the output is never read. */
export function countersOf(total: number, counts: SubPlanCounts, { made, isEnding }: SubPlansState): SubPlanCounters {
  const notMade = Math.max(0, total - made);
  return {
    total_count: total,
    planned_count: made,
    success_count: counts.success,
    failed_count: counts.failed,
    cancelled_count: counts.cancelled + (isEnding ? notMade : 0),
    pending_count: counts.pending + (isEnding ? 0 : notMade),
  };
}

/** How much is done, 0 to 1; a tenth as long as there is nothing to count. */
export function progressOf(counters: SubPlanCounters): number {
  const { total_count: total, success_count: success, failed_count: failed, cancelled_count: cancelled } = counters;
  return total === 0 ? 0.1 : Math.min(1, (success + failed + cancelled) / total);
}

export function asOutput(counters: SubPlanCounters): JsonObject {
  return { ...counters };
}
