import type { Clock, IdSource } from '@dynflow/kernel';
import type { ActivePlans } from './active-plans.js';
import type { Director } from './director.js';
import type { Gate } from './gate.js';
import type { Limits } from './limits.js';
import type { ActionCatalogue, HoldKeeper, LocalRunner, Outbox, PlanStore, TurnScheduler, PlanHooks, PlanPhases } from './ports.js';
import type { ReferenceResolver } from './references.js';
import type { RandomSource } from './retries.js';
import type { PlanResult, PlanState } from './states.js';
import type { SubPlans } from './sub-plans.js';
import type { Turn } from './turn.js';

/** A plan that came to rest. */
export interface RestedPlan {
  readonly id: string;
  readonly state: PlanState;
  readonly result: PlanResult;
}

export interface EngineOptions {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly store: PlanStore;
  readonly catalogue: ActionCatalogue;
  readonly local: LocalRunner;
  readonly outbox: Outbox;
  readonly schedule: TurnScheduler;
  /** Written into the history of plans: which process it was. */
  readonly world: string;
  /** Bytes of output that are kept of one step; what comes after is dropped, with one line that says so. */
  readonly outputLimitBytes: number;
  /** Hooks of actions on the states of their plans. */
  readonly hooks?: PlanHooks;
  /** Those who wrap whole phases of plans. */
  readonly phases?: PlanPhases;
  /** Spreads retries in time. Default: each pause is as long as it may be. */
  readonly random?: RandomSource;
  /** Keeps the hold of all new work; without it a hold ends with the process. */
  readonly holds?: HoldKeeper;
  /** Told of every plan that comes to rest, after the commit. */
  readonly onRest?: (plan: RestedPlan) => void;
  /** Told of faults that no caller waits for. */
  readonly onFault?: (message: string, error: unknown) => void;
}

/** How long to wait before something that is away is tried again. */
export const RETRY_AFTER_MS = 1_000;

/** What the rooms of the engine share. Each of them changes plans only inside a turn, by {@link put}. */
export interface EngineParts {
  readonly options: EngineOptions;
  readonly plans: ActivePlans;
  readonly subPlans: SubPlans;
  readonly director: Director;
  readonly gate: Gate;
  readonly limits: Limits;
  readonly serves: ActionCatalogue['serves'];
  readonly resolver: ReferenceResolver;
  /** Has something decided in the next turn; resolved with the answer when that is committed. */
  put<T>(decide: (turn: Turn) => T): Promise<T>;
}

/** Does something that must not keep the rest from happening; what it throws is a fault that no caller waits for. */
export function guard(options: EngineOptions, fault: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    options.onFault?.(fault, error);
  }
}
