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
  queue: SubjectToken.default('default'),
  rescueStrategy: RescueStrategy.default('Pause'),
  /** The run reacts to a cancel event. Steps of other actions are not counted by cancel. */
  cancellable: z.boolean().default(false),
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
});
export type ActionDeclaration = z.infer<typeof ActionDeclaration>;
