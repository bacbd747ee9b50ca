import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { ActionDeclaration, Schedule, StepErrorV1, SubPlanRequest, PlanNode } from '@dynflow/contracts';
import type { Flow } from './flow.js';
import type { FlowCursor } from './flow-cursor.js';
import { resultOf, type PlanResult, type PlanState, type StepKind, type StepTally } from './states.js';

/** What a plan was asked to be; kept until its time has come and an executor has planned it. */
export interface PlanRequest {
  readonly action: string;
  readonly input: JsonObject;
  /** Digest of what was asked for, in a launch with an idempotency key: it alone is kept as long as the plan. */
  readonly fingerprint?: string;
}

/** What an executor planned, and the input it did so with if that is another one. */
export interface PlanAnswer {
  readonly nodes: readonly PlanNode[];
  readonly input?: JsonObject;
}

/** Who holds a running step. A local step is held by the gateway itself and has no claim. */
export interface Claim {
  readonly id: string;
  readonly executor: string;
  readonly startId: string;
  /** Number of the last report that was applied, so that a doubled one is applied once. */
  lastReport: number;
  /** How many stored events it has had, by its grant or told since: they are done with when this invocation ends by itself. */
  tookEvents: number;
}

/** A step's state with what is valid only in it. */
export type StepState =
  | { name: 'scheduling' }
  | { name: 'pending' }
  | { name: 'running'; claim: Claim | null }
  /** `isRetry`: its last run failed, and its retry policy lets it begin anew when its time has come. */
  | { name: 'suspended'; waitingFor: string; isDue: boolean; wakeAtMs: number | null; isRetry?: boolean }
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
  /** Of the failed: their planning failed. */
  readonly unplanned: number;
  readonly cancelled: number;
}

/** An event that a step gets when its time has come. */
export interface PlannedEvent extends StoredEvent {
  readonly atMs: number;
}

/** Sub-plans that an executor's step asked for and that are not made yet. */
export interface AskedSubPlans {
  readonly children: readonly SubPlanRequest[];
  readonly concurrencyLimit: number | null;
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
  /** Events for a later time, in no order. */
  plannedEvents: PlannedEvent[];
  /** Stored with the step that made them, so that the count goes on after a restart. */
  settledSubPlans: SettledSubPlans | null;
  askedSubPlans: AskedSubPlans | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  /** When the invocation under way began. */
  invokedAtMs: number | null;
  isCancelRequested: boolean;
  isCancelForced: boolean;
  /** It may be claimed: its place in the flow has come and nobody has it. Derived, never stored. */
  isReady: boolean;
  nextSeq: number;
  outputBytes: number;
  /** How much of it is done, 0 to 1, as it said last; 1 when it is over well. */
  progress: number;
  /** Runs that its retry policy has ended and repeated, the oldest first; only the last few are kept. */
  pastAttempts: PastAttempt[];
  /** How often its retry policy has repeated it since it began, or since it was last resumed by hand. */
  retries: number;
  /** How many executors were lost in a row while they held it, without a word of it. */
  losses: number;
  /** When it became ready: where the limit of its waiting begins. */
  readyAtMs: number | null;
  /** When its run began, parked times and lost executors included: where the limit of its running begins. */
  runSinceMs: number | null;
  /** The limit of time that it is over, in words: its executor was told to end it. */
  overLimit: string | null;
  /** Why it may not be claimed although its place has come, or what its claim waits for; null: nothing to say. Derived, never stored. */
  waitsFor: string | null;
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
  /** What the plan is to be, until it is planned; it has only its root action and that one's plan step till then. */
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
  /** What it waits for before it is planned; null: for nothing that can be said here. */
  waitsFor: string | null;
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

/** Without them there is no finalize phase that anybody could stand around. */
export function hasFinalizeSteps(plan: Plan): boolean {
  return plan.steps.some(({ kind }) => kind === 'finalize');
}
