import { z } from 'zod';
import { Json, JsonRecord } from '../json.js';

const StepAddress = { plan: z.string(), step: z.number().int().positive(), attempt: z.number().int().positive() };

/** On `step.<plugin>.<queue>`: a step is ready. It carries nothing else: input and secrets are answered to the claim. */
export const StepTokenV1 = z.object({ type: z.literal('step.token'), version: z.literal(1), shard: z.number().int(), ...StepAddress });
export type StepTokenV1 = z.infer<typeof StepTokenV1>;

/** An error as steps record it: Dynflow's `exception_class` and `message`; `code` is stable where there is one. */
export const StepErrorV1 = z.object({
  errorClass: z.string(),
  message: z.string(),
  code: z.string().optional(),
  /** `retryable`: nothing happened; `final`: no use to try again; `unknown`: it may have had an effect. */
  kind: z.enum(['retryable', 'final', 'unknown']).default('final'),
});
export type StepErrorV1 = z.infer<typeof StepErrorV1>;

/** One piece of output, as it came; `seq` counts from 1 in a step, without gaps. */
export const OutputChunkV1 = z.object({
  seq: z.number().int().positive(),
  kind: z.string(),
  /** Epoch milliseconds, with a fraction. */
  timestampMs: z.number(),
  text: z.string(),
  /** An identifier of the producer's own (an Ansible event's uuid). */
  id: z.union([z.string(), z.number()]).optional(),
});
export type OutputChunkV1 = z.infer<typeof OutputChunkV1>;

/** On `claim.<shard>.<plugin>`: an executor asks for steps whose tokens it took. The executor makes the claim ids. */
export const ClaimRequestV1 = z.object({
  type: z.literal('claim'),
  version: z.literal(1),
  executor: z.string(),
  startId: z.string(),
  /** JWK of a one-time key: secrets are sealed to it. */
  publicKey: JsonRecord.optional(),
  claims: z.array(z.object({ claim: z.string(), ...StepAddress })).min(1),
});
export type ClaimRequestV1 = z.infer<typeof ClaimRequestV1>;

/** How the sub-plans of an action stand. `total` is `pending`, `success`, `failed` and `cancelled` together. */
export const SubPlanCountsV1 = z.object({
  total: z.number().int().nonnegative(),
  /** Not at rest: those that wait and those that are being planned among them. */
  pending: z.number().int().nonnegative(),
  /** Of the pending: planned, and held back by a limit. */
  waiting: z.number().int().nonnegative(),
  success: z.number().int().nonnegative(),
  /** Stopped or paused with an error, with a warning or by force. */
  failed: z.number().int().nonnegative(),
  /** Of the failed: their planning failed, so they never ran. */
  unplanned: z.number().int().nonnegative(),
  /** Ended otherwise than in success after they were to be cancelled. */
  cancelled: z.number().int().nonnegative(),
});
export type SubPlanCountsV1 = z.infer<typeof SubPlanCountsV1>;

/** A plan to be made as a child of the step that asks for it. Its id follows from the step, so that asking twice makes it once. */
export const SubPlanV1 = z.object({
  /** Full name, `<plugin>.<Action>`. */
  action: z.string(),
  input: JsonRecord,
  label: z.string().optional(),
  priority: z.number().int().optional(),
  attributes: z.record(z.string(), z.string()).optional(),
});
export type SubPlanV1 = z.infer<typeof SubPlanV1>;

/** An event that the step gets after this time, whatever becomes of this invocation and of its executor. 0: as soon as it can be had. */
export const PlannedEventV1 = z.object({ data: Json, afterMs: z.number().nonnegative() });
export type PlannedEventV1 = z.infer<typeof PlannedEventV1>;

/** The step is this executor's now; the owner has committed that. */
export const GrantV1 = z.object({
  claim: z.string(),
  result: z.literal('granted'),
  ...StepAddress,
  action: z.string(),
  actionVersion: z.number().int(),
  phase: z.enum(['run', 'finalize']),
  input: JsonRecord,
  /** The action's output so far: what finalize looks at. */
  output: JsonRecord,
  /** Compact JWE with the secret input keys, sealed to the request's public key. */
  secrets: z.string().optional(),
  checkpoint: Json.optional(),
  /** What woke a parked step: the stored events since its last invocation, oldest first. Empty for a timer. */
  events: z.array(Json).default([]),
  /** How the sub-plans that it asked for stand; absent when it has asked for none. */
  subPlans: SubPlanCountsV1.optional(),
  /** The step is to be cancelled, and its action wants to see to that itself (`cancelParked`). */
  cancel: z.object({ force: z.boolean() }).optional(),
  /** The next output chunk must have this number. */
  nextSeq: z.number().int().positive(),
});
export type GrantV1 = z.infer<typeof GrantV1>;

/** The step cannot be had: the token was stale or doubled. The executor acknowledges the token and forgets it. */
export const RefusalV1 = z.object({ claim: z.string(), result: z.literal('refused'), reason: z.string() });
export type RefusalV1 = z.infer<typeof RefusalV1>;

/** The answer to a claim, one entry a claim, in the order asked. The same claim always gets the same answer. */
export const ClaimAnswerV1 = z.object({
  type: z.literal('claim.answer'),
  version: z.literal(1),
  answers: z.array(z.discriminatedUnion('result', [GrantV1, RefusalV1])),
});
export type ClaimAnswerV1 = z.infer<typeof ClaimAnswerV1>;

/** How an invocation ended, or what it wants kept while it goes on (`checkpoint`). */
export const OutcomeV1 = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done'), output: JsonRecord }),
  z.object({ kind: z.literal('failed'), error: StepErrorV1, output: JsonRecord.optional() }),
  z.object({
    kind: z.literal('suspended'),
    checkpoint: Json,
    waitingFor: z.string(),
    wakeAfterMs: z.number().nonnegative().optional(),
    output: JsonRecord.optional(),
    progress: z.number().min(0).max(1).optional(),
    planEvents: z.array(PlannedEventV1).optional(),
    /** Plans to be made; when all of them (and of those asked for before) are at rest, the event `{ kind: 'subPlans', counts }` comes. */
    subPlans: z
      .object({
        children: z.array(SubPlanV1).min(1),
        /** How many of the step's sub-plans may run at once; absent: any number. */
        concurrencyLimit: z.number().int().nonnegative().optional(),
      })
      .optional(),
  }),
  z.object({ kind: z.literal('released'), checkpoint: Json }),
  z.object({
    kind: z.literal('checkpoint'),
    checkpoint: Json.optional(),
    output: JsonRecord.optional(),
    /** How much of the step is done, 0 to 1. */
    progress: z.number().min(0).max(1).optional(),
    planEvents: z.array(PlannedEventV1).optional(),
  }),
]);
export type OutcomeV1 = z.infer<typeof OutcomeV1>;

/** On `inbox.<shard>.<plugin>`: outcomes, each with the output that was not confirmed yet. Kept and sent again until applied. */
export const ReportV1 = z.object({
  type: z.literal('report'),
  version: z.literal(1),
  executor: z.string(),
  startId: z.string(),
  reports: z
    .array(
      z.object({
        claim: z.string(),
        ...StepAddress,
        /** Counts the reports of a claim from 1: a doubled report is applied once. */
        number: z.number().int().positive(),
        outcome: OutcomeV1,
        chunks: z.array(OutputChunkV1).default([]),
      }),
    )
    .min(1),
});
export type ReportV1 = z.infer<typeof ReportV1>;

/** On `output.<shard>.<plugin>`: live output of claimed steps. At-least-once; the owner drops numbers it has. */
export const OutputV1 = z.object({
  type: z.literal('output'),
  version: z.literal(1),
  executor: z.string(),
  output: z.array(z.object({ claim: z.string(), ...StepAddress, chunks: z.array(OutputChunkV1).min(1) })).min(1),
});
export type OutputV1 = z.infer<typeof OutputV1>;
