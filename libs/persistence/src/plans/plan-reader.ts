import type { PlanCount, PlanFilter, PlanQuery, PlanSummary, PlanView } from '@dynflow/contracts';
import type { PlanResult, PlanState } from '@dynflow/engine';

/** Reads plans as they were last committed. Unknown ids are absent, never an error. */
export interface PlanReader {
  /** Whole plans, output chunks included, in the order asked. A plan is consistent in itself; two plans may be of different moments. */
  plans(ids: readonly string[]): Promise<PlanView[]>;
  /** State and result of these plans, or of all that fit. @throws InvalidInputError naming a filter that there is not. */
  states(which: readonly string[] | PlanFilter): Promise<Map<string, { state: PlanState; result: PlanResult }>>;
  /** How many plans are in this state, or fit, or are there at all; 0 for a word that is no state. @throws as {@link states}. */
  count(which?: string | PlanFilter): Promise<number>;
  /** The same by state and result, where there are any. */
  counts(filter: PlanFilter): Promise<PlanCount[]>;
  /** A page. @throws InvalidInputError naming the field, also for a cursor whose plan is gone. */
  list(query: PlanQuery): Promise<PlanSummary[]>;
  /** The plans that this one waits for, as it was asked to. */
  prerequisites(plan: string): Promise<string[]>;
}
