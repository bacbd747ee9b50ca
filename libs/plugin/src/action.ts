import type { JsonObject } from '@dynflow/kernel';
import type {
  FinalizeDeclaration,
  LimitDeclaration,
  PlanNode,
  RescueStrategy,
  RetryPolicy,
  Schedule,
  TimeLimits,
} from '@dynflow/contracts';
import type { z } from 'zod';
import type { Derivable, Middleware } from './middleware.js';
import type { MiddlewareList } from './middleware-rules.js';
import type { Release, RunContext, Suspension } from './run-context.js';

export { CancelRequested, Release, StepFailure, Suspension, release, suspend } from './run-context.js';
export type { DocumentStore, PluginLog, RunContext } from './run-context.js';

/**
 * A plan method: a pure function of the input. Written as a method's type, so that actions of different inputs fit into one plugin: the
 * host parses an input with the action's own schema before it calls.
 */
export type PlanMethod<Input> = { plan(input: Input): PlanNode[] }['plan'];

/** See `ActionDefinition.delay`; written as a method's type for the same reason as {@link PlanMethod}. */
export type DelayMethod<Input> = { delay(input: Input, schedule: Partial<Schedule>): JsonObject | Promise<JsonObject> }['delay'];

/** An action as its author declares it. */
export interface ActionDefinition<Schema extends z.ZodType = z.ZodType, Services = unknown> {
  /** Without the plugin's name: `RunScript`. */
  name: string;
  /** Raise it when plans made by the old code must not be run by the new. Default 1. */
  version?: number;
  input: Schema;
  /** Top-level input keys that are sealed at once and shown nowhere. */
  secrets?: string[];
  /** Default: `[planSelf()]`. Data, or a pure function of the input that an executor is asked for. */
  plan?: PlanNode[] | PlanMethod<z.output<Schema>>;
  run?: (context: RunContext<z.output<Schema>, Services>) => Promise<JsonObject | Suspension | Release>;
  /** A function that an executor runs after all run steps, or {@link failUnless}, which needs no executor. Must be idempotent. */
  finalize?: ((context: RunContext<z.output<Schema>, Services>) => Promise<JsonObject>) | FinalizeDeclaration;
  queue?: string;
  rescueStrategy?: RescueStrategy;
  cancellable?: boolean;
  /**
   * What a cancel does to a step that waits: `end` (default) ends it in its executor's place; `invoke` runs it once more, with
   * `signal` aborted from the beginning, so that it can cancel what it waits for. A second, forced cancel ends it all the same.
   */
  cancelParked?: 'end' | 'invoke';
  resumable?: boolean;
  idempotent?: boolean;
  initialOutput?: JsonObject;
  /** The output key under which written chunks appear. Required if `run` writes. */
  chunksAs?: string;
  /** What a run that ended without its executor counts as; see `ActionDeclaration.abandonedOutput`. */
  abandonedOutput?: JsonObject;
  /** Full names of actions, of any plugin: when one of them is planned, this one is planned beside it, with the same input. */
  subscribesTo?: string[];
  /**
   * Looks at an input before a plan is scheduled for later, and gives back the one to store: complete it while the facts are at hand, or
   * throw to refuse. Called by an executor, before any middleware's `delay` sees the answer.
   */
  delay?: DelayMethod<z.output<Schema>>;
  /** How much the phases count in the plan's progress; 1 each unless given. */
  progressWeights?: { run: number; finalize: number };
  /** At most one plan with this action is under way at a time; another one fails in its planning. */
  singleton?: boolean;
  /** Failed runs are repeated by this before anybody is asked; none unless given. Say `idempotent` before you retry unknown outcomes. */
  retry?: z.input<typeof RetryPolicy>;
  /** How long a run may wait for an executor, start, take in all and be silent; without limit unless given. */
  timeLimits?: TimeLimits;
  /** How many runs at once, or begun within a time, for each value of an input: `[{ name: 'host', by: ['hostname'], concurrency: 1 }]`. */
  limits?: LimitDeclaration[];
  /** What states of its step are called when people look: `{ suspended: 'waiting for the host' }`. */
  stateNames?: Record<string, string>;
  /** Around its phases, inside of the plugin's own; see `Middleware`. */
  middleware?: MiddlewareList<Middleware>;
  /** Set by `extendAction`. */
  derivedFrom?: Derivable;
}

/** Declares an action; it only helps the compiler to know the types of `input` and `services`. */
export function defineAction<Schema extends z.ZodType, Services = unknown>(
  definition: ActionDefinition<Schema, Services>,
): ActionDefinition<Schema, Services> {
  return definition;
}

/** The finalize step fails with `message` unless the action's output has `equals` under `output`. */
export function failUnless(output: string, equals: string | number | boolean | null, message: string): FinalizeDeclaration {
  return { kind: 'failUnless', output, equals, message };
}
