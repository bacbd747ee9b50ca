import { z } from 'zod';
import { JsonRecord } from '../json.js';
import { ActionName, SubjectToken } from '../names.js';
import { PlanNodeSchema } from './plan-nodes.js';

/** What to do with a plan that ended with an error in this action (Dynflow's rescue strategies, section 2.9 of its model). */
export const RescueStrategy = z.enum(['Pause', 'Skip', 'Fail']);
export type RescueStrategy = z.infer<typeof RescueStrategy>;

/** How an action's plan phase is done: by the default `plan_self(input)`, by data, or by asking an executor of the plugin. */
export const PlanDeclaration = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('self') }),
  z.object({ kind: z.literal('data'), nodes: z.array(PlanNodeSchema) }),
  z.object({ kind: z.literal('asked') }),
]);
export type PlanDeclaration = z.infer<typeof PlanDeclaration>;

/**
 * How an action's finalize phase is done. `failUnless` needs no executor: the finalize step fails with `message` unless the action's
 * output has `equals` under `output`, so that a plan can end also while every executor is away.
 */
export const FinalizeDeclaration = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('run') }),
  z.object({
    kind: z.literal('failUnless'),
    output: z.string(),
    equals: z.union([z.string(), z.number(), z.boolean(), z.null()]),
    message: z.string(),
  }),
]);
export type FinalizeDeclaration = z.infer<typeof FinalizeDeclaration>;

/**
 * What is done with a run step that failed, before anybody is asked: it is run again, after a pause that grows. Which failures: those of
 * a kind in `on`; `unknown` counts only for an action that is `idempotent`, `final` is never retried. The default is Dynflow's: none.
 */
export const RetryPolicy = z.object({
  /** Runs in all, the first one included. */
  maxAttempts: z.number().int().min(1),
  /** Pause before the second run; each further one is `factor` times as long, up to `maxBackoffMs`. */
  backoffMs: z.number().nonnegative().default(1_000),
  factor: z.number().min(1).default(2),
  maxBackoffMs: z.number().nonnegative().default(300_000),
  /** Share of the pause that is random, 0 to 1, so that many failures of one cause do not come back at once. */
  jitter: z.number().min(0).max(1).default(0.2),
  on: z.array(z.enum(['retryable', 'unknown'])).default(['retryable']),
});
export type RetryPolicy = z.infer<typeof RetryPolicy>;

/** How long each phase of a run step may take, in milliseconds; absent: without limit. Who is over a limit ends in error, retryable only for `waitMs`. */
export const TimeLimits = z.object({
  /** From ready to claimed: an executor with a free slot has to be found by then. */
  waitMs: z.number().positive().optional(),
  /** From claimed to the first output or checkpoint. */
  startMs: z.number().positive().optional(),
  /** From the first claim to the end, waiting included. */
  runMs: z.number().positive().optional(),
  /** Without any output or checkpoint while it is held. */
  silentMs: z.number().positive().optional(),
});
export type TimeLimits = z.infer<typeof TimeLimits>;

/**
 * A limit that the run steps of this action share with all others that have a limit of the same `name` and value: at most `concurrency`
 * of them at once, and at most `rate.count` begun within any `rate.perMs`.
 */
export const LimitDeclaration = z.object({
  name: SubjectToken,
  /** Path in the action's input whose value tells one limit from another (`["hostname"]`); absent: one for all. */
  by: z.array(z.string()).optional(),
  concurrency: z.number().int().positive().optional(),
  rate: z.object({ count: z.number().int().positive(), perMs: z.number().positive() }).optional(),
});
export type LimitDeclaration = z.infer<typeof LimitDeclaration>;

/** Everything the gateway knows of an action; it has no code of it. */
export const ActionDeclaration = z.object({
  /** Full name, `<plugin>.<Action>`. */
  name: ActionName,
  version: z.number().int().positive(),
  /** JSON Schema (2020-12) of the input; a launch that does not fit is refused. */
  inputSchema: JsonRecord,
  /** Top-level input keys that are sealed and shown nowhere. */
  secrets: z.array(z.string()).default([]),
  plan: PlanDeclaration.default({ kind: 'self' }),
  run: z.boolean(),
  finalize: FinalizeDeclaration.default({ kind: 'none' }),
  /** Absent: the queue of the action that planned it, if that is of the same plugin; else `default`. */
  queue: SubjectToken.optional(),
  rescueStrategy: RescueStrategy.default('Pause'),
  /** The run reacts to a cancel event. Steps of other actions are not counted by cancel. */
  cancellable: z.boolean().default(false),
  /** A parked step that is to be cancelled: ended in its executor's place, or invoked once more so that it can see to that itself. */
  cancelParked: z.enum(['end', 'invoke']).default('end'),
  /** A lost or released run may be handed on with its checkpoint. */
  resumable: z.boolean().default(false),
  /** A run of unknown outcome may simply be run again. */
  idempotent: z.boolean().default(false),
  /** Output before the run has said anything. */
  initialOutput: JsonRecord.default({}),
  /** Stored output chunks appear in the output under this key, as an array; absent: this action writes no chunks. */
  chunksAs: z.string().optional(),
  /**
   * Output that a run ends with when the gateway has to end it in the executor's place: cancelled before it started, or lost with its
   * executor. Without it such a run step ends in error.
   */
  abandonedOutput: JsonRecord.optional(),
  /** At most one plan with this action is under way at a time; another one fails in its planning. */
  singleton: z.boolean().default(false),
  /** Actions whose planning plans this one too, with the same input and after them (Dynflow's `subscribe`). */
  subscribesTo: z.array(ActionName).default([]),
  /** Whether an executor is asked before a plan of this action is scheduled for later: it may change the input then, or refuse. */
  delay: z.enum(['plain', 'asked']).default('plain'),
  /** How much the phases count in the plan's progress. */
  progressWeights: z.object({ run: z.number().nonnegative(), finalize: z.number().nonnegative() }).default({ run: 1, finalize: 1 }),
  /** What states of a step are called for people, where the state's own name says too little. */
  stateNames: z.record(z.string(), z.string()).default({}),
  retry: RetryPolicy.optional(),
  timeLimits: TimeLimits.default({}),
  limits: z.array(LimitDeclaration).default([]),
});
export type ActionDeclaration = z.infer<typeof ActionDeclaration>;

/** The queues of a plugin's steps: those that its actions name, and `default` where one of them names none. */
export function queuesOf(actions: readonly Pick<ActionDeclaration, 'queue'>[]): Set<string> {
  return new Set(actions.map(({ queue }) => queue ?? 'default'));
}
