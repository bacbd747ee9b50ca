import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type {
  ActionDeclaration,
  ExecutorMessage,
  LocalInvocation,
  LocalResult,
  OutputChunkV1,
  Schedule,
  StepErrorV1,
  StepTokenV1,
  PhasedPlan,
  PlanEvent,
  PlanEventKind,
} from '@dynflow/contracts';
import type { Standing } from './fair-queue.js';
import type { RecentRun } from './limit-usage.js';
import type { PlanAnswer } from './model.js';
import type { ActionRow, ChunkRow, PlanRow, StepRow, StoredPlan } from './rows.js';
import type { PlanResult, PlanState } from './states.js';

/**
 * Everything that one turn of the engine changed. Each row stands in it once, as it is at the end of the turn.
 *
 * `newActions` and `newSteps` of a plan in `newPlans` must not be there yet. A plan in `plans` that has rows among `newSteps` has got its
 * steps now, after it was scheduled or in planning: its flows are written, and of its new actions and steps those that are stored
 * already (its root action and plan step) are written over as a whole.
 */
export interface Changes {
  readonly newPlans: PlanRow[];
  readonly newActions: ActionRow[];
  readonly newSteps: StepRow[];
  readonly plans: PlanRow[];
  readonly actions: ActionRow[];
  readonly steps: StepRow[];
  readonly chunks: ChunkRow[];
}

/** How a plan stands, in two words. */
export interface PlanVerdict {
  readonly state: PlanState;
  readonly result: PlanResult;
}

/** How many sub-plans of one action are at rest in the same way; `unplanned`: their planning failed. */
export interface SubPlanTally {
  readonly callerAction: number;
  readonly outcome: 'success' | 'failed' | 'unplanned' | 'cancelled';
  readonly count: number;
}

/**
 * Where plans are kept. It has no transaction object and no connection in its signatures: a commit is one call, all or nothing.
 * A synchronous store returns plain values, so that a turn does not pay for promises it does not need.
 */
export interface PlanStore {
  /** Writes a whole turn in one transaction. @throws if any of it cannot be written; then none of it is. */
  commit(changes: Changes): void | Promise<void>;
  /** Which of these plan ids exist, in any state. */
  existing(ids: readonly string[]): Set<string> | Promise<Set<string>>;
  /**
   * Which of these idempotency keys are taken, by plans in any state: the key and the plan's id. A commit with a new plan whose key is
   * taken by then, by another gateway, fails with `DYN_DUPLICATE_PLAN`: look the key up again.
   */
  byIdempotencyKeys(keys: readonly string[]): Map<string, string> | Promise<Map<string, string>>;
  /** State and result of those of these plans that exist. */
  verdicts(ids: readonly string[]): Map<string, PlanVerdict> | Promise<Map<string, PlanVerdict>>;
  /** Run steps of these actions that began or ended since then: what rates are counted from after a restart. */
  recentRuns?(actions: readonly string[], sinceMs: number): RecentRun[] | Promise<RecentRun[]>;
  /** All plans that are neither stopped nor paused, oldest first. */
  loadUnfinished(): StoredPlan[] | Promise<StoredPlan[]>;
  /**
   * Counts the sub-plans of a plan that are at rest: those with result success; of the others, those that were to be cancelled or have
   * the result cancelled; of the rest, those whose first step, a plan step, is in error (unplanned); and the others (failed).
   */
  subPlanTallies(callerPlan: string): SubPlanTally[] | Promise<SubPlanTally[]>;
  /** A plan whatever its state, or null. */
  load(id: string): StoredPlan | null | Promise<StoredPlan | null>;
  /** An action's stored output chunks, in order. */
  chunks(plan: string, action: number): OutputChunkV1[] | Promise<OutputChunkV1[]>;
}

/** What actions there are. */
export interface ActionCatalogue {
  /** The newest version that is served, or the one asked for. */
  declarationOf(action: string, version?: number): ActionDeclaration | undefined;
  /** True for actions that run inside the gateway. */
  isLocal(action: string): boolean;
  /** The actions, of any plugin, that are planned whenever this one is; each once, in a stable order. Asked for each action of each plan. */
  subscribersOf(action: string): readonly string[];
  /**
   * Which versions of the action executors serve now; undefined: nothing is known of its executors, or it is local. When the answer has
   * changed, tell the engine: `Engine.servedChanged`.
   */
  servedVersions?(action: string): ReadonlySet<number> | undefined;
  /** Whether this process serves this version; undefined: not known. */
  serves?(executor: ExecutorProcess, action: string, version: number): boolean | undefined;
  /** Every declaration, of every version. */
  allDeclarations?(): Iterable<ActionDeclaration>;
}

/** Where the hold of all new work is kept, so that a restart does not end it. */
export interface HoldKeeper {
  /** Why nothing starts; null: nothing is held. */
  load(): Promise<string | null>;
  save(reason: string | null): Promise<void>;
}

/** A process of an executor. */
export interface ExecutorProcess {
  readonly plugin: string;
  readonly executor: string;
  readonly startId: string;
}

/** Runs local actions: synchronous, pure; what it throws ends the step in error. */
export interface LocalRunner {
  run(action: string, invocation: LocalInvocation): LocalResult;
}

/** The token of a ready step, with the queue that it goes on and its standing among others. */
export interface ReadyToken extends Standing {
  readonly plugin: string;
  readonly queue: string;
  readonly token: StepTokenV1;
}

/** What the engine sends out after a commit. None of these may fail a turn; what is lost is found again by repetition. */
export interface Outbox {
  /** These steps are ready. Doubles are harmless: the claim is the gate. */
  publishTokens(tokens: readonly ReadyToken[]): void;
  /** For one executor; resolved with true when it was received. */
  tell(plugin: string, executor: string, message: ExecutorMessage): Promise<boolean>;
  /** Performs an effect of a local action. What it throws becomes the event's error. */
  perform(action: string, name: string, payload: JsonValue): Promise<JsonValue>;
  /**
   * Asks an executor before a plan of the action is scheduled for later: it may change the input, or refuse.
   *
   * @throws UnavailableError when none answers; then nothing is scheduled.
   */
  askDelay(declaration: ActionDeclaration, input: JsonObject, schedule: Schedule): Promise<{ input: JsonObject } | { error: StepErrorV1 }>;
  /** Asks an executor for the plan of an action. @throws UnavailableError when none answers; it is asked again later. */
  askPlan(declaration: ActionDeclaration, input: JsonObject): Promise<PlanAnswer | { error: StepErrorV1 }>;
}

/** When the next turn runs: soon, but after what is happening now, so that what happens now shares a commit. */
export type TurnScheduler = (turn: () => void) => void;

/** Who wants to know of the states of plans: hooks of actions. */
export interface PlanHooks {
  /** The kinds that an action's hooks want; undefined: it has none. Asked once a plan for each of its actions. */
  kindsOf(action: string): ReadonlySet<PlanEventKind> | undefined;
  /** Called after the commit, once for each action and kind. Must not throw; what it does is its own business. */
  call(event: PlanEvent): void;
}

/** Wraps whole phases of plans: Dynflow's `plan_phase` and `finalize_phase`. */
export interface PlanPhases {
  /** While it is true, every plan is recorded before it is planned, and its planning goes through {@link PlanPhases.planPhase}. */
  readonly wrapsPlanning: boolean;
  /**
   * Has a plan planned: `pass` resolves with the names of the actions that were planned, in order, when the tree is complete and before
   * it is recorded. What is thrown ends the plan's planning in error. It is called again when the planning has to begin anew.
   */
  planPhase(plan: PhasedPlan, pass: () => Promise<string[]>): Promise<void>;
  /** The first finalize step may begin: called after the commit and before any executor hears of it, again after a restart. */
  finalizeBegins(plan: PhasedPlan): void;
  /** The plan came to rest after its finalize phase began. */
  finalizeEnds(plan: string): void;
}
