import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type {
  ActionDeclaration,
  ExecutorMessage,
  LocalInvocation,
  LocalResult,
  OutputChunkV1,
  PlanNode,
  StepErrorV1,
  StepTokenV1,
} from '@dynflow/contracts';
import type { ActionRow, ChunkRow, PlanRow, StepRow, StoredPlan } from './rows.js';

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
  /** All plans that are neither stopped nor paused, oldest first. */
  loadUnfinished(): StoredPlan[] | Promise<StoredPlan[]>;
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
}

/** Runs local actions: synchronous, pure; what it throws ends the step in error. */
export interface LocalRunner {
  run(action: string, invocation: LocalInvocation): LocalResult;
}

/** What the engine sends out after a commit. None of these may fail a turn; what is lost is found again by repetition. */
export interface Outbox {
  /** These steps are ready. Doubles are harmless: the claim is the gate. */
  publishTokens(tokens: readonly { plugin: string; queue: string; token: StepTokenV1 }[]): void;
  /** For one executor; resolved with true when it was received. */
  tell(plugin: string, executor: string, message: ExecutorMessage): Promise<boolean>;
  /** Performs an effect of a local action. What it throws becomes the event's error. */
  perform(action: string, name: string, payload: JsonValue): Promise<JsonValue>;
  /** Asks an executor for the plan of an action. @throws UnavailableError when none answers; it is asked again later. */
  askPlan(declaration: ActionDeclaration, input: JsonObject): Promise<{ nodes: PlanNode[] } | { error: StepErrorV1 }>;
}

/** When the next turn runs: soon, but after what is happening now, so that what happens now shares a commit. */
export type TurnScheduler = (turn: () => void) => void;
