import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { ActionDeclaration, Schedule, StepErrorV1 } from '@dynflow/contracts';
import type { Flow } from './flow.js';
import type { FlowCursor } from './flow-cursor.js';
import { resultOf, type PlanResult, type PlanState, type StepKind, type StepTally } from './states.js';

/** What a plan was asked to be; kept until its time has come and an executor has planned it. */
export interface PlanRequest {
  readonly action: string;
  readonly input: JsonObject;
}

/** Who holds a running step. A local step is held by the gateway itself and has no claim. */
export interface Claim {
  readonly id: string;
  readonly executor: string;
  readonly startId: string;
  /** Number of the last report that was applied, so that a doubled one is applied once. */
  lastReport: number;
  /** How many stored events its grant carried: they are done with when this invocation ends by itself. */
  readonly tookEvents: number;
}

/** A step's state with what is valid only in it. */
export type StepState =
  | { name: 'scheduling' }
  | { name: 'pending' }
  | { name: 'running'; claim: Claim | null }
  | { name: 'suspended'; waitingFor: string; isDue: boolean; wakeAtMs: number | null }
  | { name: 'success' }
  | { name: 'skipping' }
  | { name: 'skipped' }
  /** `isRetrying`: a resume has asked for it again and nobody has started it yet. */
  | { name: 'error'; error: StepErrorV1; isRetrying: boolean }
  | { name: 'cancelled' };

/** An event for a step, with the id by which its receiver knows it again. */
export interface StoredEvent {
  readonly id: string;
  readonly data: JsonValue;
}

/** How many sub-plans of an action have come to rest, and how. */
export interface SettledSubPlans {
  readonly success: number;
  readonly failed: number;
}

/** A run that failed and was followed by another one. */
export interface PastAttempt {
  readonly attempt: number;
  readonly endedAtMs: number;
  readonly error: StepErrorV1;
}

export interface Step {
  readonly id: number;
  readonly kind: StepKind;
  readonly action: number;
  readonly queue: string;
  state: StepState;
  /** Number of the invocation that is under way or comes next; tokens and claims carry it. */
  attempt: number;
  checkpoint: JsonValue | undefined;
  /** Events that its next invocation gets; while it is held, the first of them are those that its grant carried. */
  events: StoredEvent[];
  /** Stored with the step that made them, so that the count goes on after a restart. */
  settledSubPlans: SettledSubPlans | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  /** When the invocation under way began. */
  invokedAtMs: number | null;
  isCancelRequested: boolean;
  /** It may be claimed: its place in the flow has come and nobody has it. Derived, never stored. */
  isReady: boolean;
  nextSeq: number;
  outputBytes: number;
  /** How much of it is done, 0 to 1, as it said last; 1 when it is over well. */
  progress: number;
  /** Runs that its retry policy has ended and repeated, the oldest first; only the last few are kept. */
  pastAttempts: PastAttempt[];
  /** How often its retry policy has repeated it. */
  retries: number;
  /** When it became ready: where the limit of its waiting begins. */
  readyAtMs: number | null;
}

/** Where in an action's input the output of another action's run step belongs. */
export interface OutputReference {
  /** Path in the input. */
  readonly at: readonly string[];
  readonly step: number;
  readonly action: number;
  readonly subkeys: readonly string[];
}

export interface Action {
  readonly id: number;
  readonly declaration: ActionDeclaration;
  readonly planStep: number;
  readonly runStep: number | null;
  readonly finalizeStep: number | null;
  readonly callerAction: number | null;
  readonly input: JsonObject;
  readonly references: readonly OutputReference[];
  output: JsonObject;
}

export interface HistoryEntry {
  readonly timeMs: number;
  readonly name: string;
  readonly world: string | null;
}

export interface Plan {
  readonly id: string;
  readonly shard: number;
  readonly label: string;
  state: PlanState;
  readonly callerPlan: string | null;
  readonly callerAction: number | null;
  /** Set while the plan waits for an executor to plan it: it has no steps yet. */
  readonly request: PlanRequest | null;
  /** Another system started it and is told the outcome: it is never left for an operator to resume into a second run. */
  readonly isExternal: boolean;
  /** How many sub-plans of the same caller may run at once; null: any number. */
  readonly concurrencyLimit: number | null;
  /** Of two plans that could go on, the higher number goes first. */
  readonly priority: number;
  /** Words to find it by. */
  readonly attributes: Readonly<Record<string, string>>;
  /** The caller's own word for this launch: a second one with the same word is the same plan. */
  readonly idempotencyKey: string | null;
  /** When it may begin; null: at once. */
  schedule: Schedule | null;
  /** Why an operator keeps it from beginning anything; null: nobody does. */
  heldBecause: string | null;
  /** It was ended by force, whatever its steps say. */
  isHalted: boolean;
  sealedSecrets: string | null;
  isCancelRequested: boolean;
  readonly steps: readonly Step[];
  readonly actions: readonly Action[];
  readonly runFlow: Flow;
  readonly finalizeFlow: Flow;
  readonly tally: StepTally;
  readonly history: HistoryEntry[];
  readonly createdAtMs: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  /** Present while the plan runs: which steps are under way, and what follows. */
  cursor: FlowCursor | null;
  phase: 'run' | 'finalize';
}

/** The plan's result: what its steps make, or `halted`. */
export function planResult(plan: Pick<Plan, 'isHalted' | 'tally'>): PlanResult {
  return plan.isHalted ? 'halted' : resultOf(plan.tally);
}

/** The step with this id. @throws RangeError: ids come from the plan itself. */
export function stepOf(plan: Plan, id: number): Step {
  const step = plan.steps[id - 1];
  if (step === undefined) {
    throw new RangeError(`plan ${plan.id} has no step ${id}`);
  }
  return step;
}

/** The action with this id. @throws RangeError */
export function actionOf(plan: Plan, id: number): Action {
  const action = plan.actions[id - 1];
  if (action === undefined) {
    throw new RangeError(`plan ${plan.id} has no action ${id}`);
  }
  return action;
}
