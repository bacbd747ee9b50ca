import { z } from 'zod';
import { Json, JsonRecord } from '../json.js';
import { PlanNodeSchema } from '../manifest/plan-nodes.js';
import { StepErrorV1 } from './step.js';

/** On `executor.<plugin>.<id>`: the owner has committed these reports (or found them stale); the executor forgets them. */
export const AppliedV1 = z.object({
  type: z.literal('applied'),
  version: z.literal(1),
  reports: z.array(z.object({ claim: z.string(), number: z.number().int(), result: z.enum(['applied', 'stale']) })),
});
export type AppliedV1 = z.infer<typeof AppliedV1>;

/** On `executor.<plugin>.<id>`: output up to and with `seq` is stored; the window moves on. */
export const OutputStoredV1 = z.object({
  type: z.literal('output.stored'),
  version: z.literal(1),
  output: z.array(z.object({ claim: z.string(), seq: z.number().int().nonnegative() })),
});
export type OutputStoredV1 = z.infer<typeof OutputStoredV1>;

/** On `executor.<plugin>.<id>`: something for a step that this executor holds. Cancel may come more than once. */
export const StepEventV1 = z.object({
  type: z.literal('step.event'),
  version: z.literal(1),
  claim: z.string(),
  event: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('cancel'),
      force: z.boolean(),
      /** Why, unless somebody asked for it: a limit of time, say. */
      reason: z.string().optional(),
    }),
    z.object({ kind: z.literal('external'), id: z.string(), data: Json }),
  ]),
});
export type StepEventV1 = z.infer<typeof StepEventV1>;

/** Everything that may come on `executor.<plugin>.<id>`. */
export const ExecutorMessage = z.discriminatedUnion('type', [AppliedV1, OutputStoredV1, StepEventV1]);
export type ExecutorMessage = z.infer<typeof ExecutorMessage>;

/** On `heartbeat.<plugin>.<id>`: alive, with what is held, so that a lost answer is found and mended. */
export const HeartbeatV1 = z.object({
  type: z.literal('heartbeat'),
  version: z.literal(1),
  executor: z.string(),
  startId: z.string(),
  draining: z.boolean(),
  slots: z.object({ total: z.number().int(), used: z.number().int() }),
  held: z.array(z.object({ claim: z.string(), plan: z.string(), step: z.number().int() })),
});
export type HeartbeatV1 = z.infer<typeof HeartbeatV1>;

/** The answer to a heartbeat: an unknown executor announces itself again. */
export const HeartbeatAnswerV1 = z.object({
  type: z.literal('heartbeat.answer'),
  version: z.literal(1),
  announce: z.boolean(),
  /** After so long a silence the gateway gives up what the executor holds: by then it has ended what must not run twice. */
  lostAfterMs: z.number().positive().optional(),
});
export type HeartbeatAnswerV1 = z.infer<typeof HeartbeatAnswerV1>;

/**
 * On `plan.<plugin>`: plan this action with this input. Any executor of the plugin answers; it is a pure function. With `delay` it is
 * not planned yet: a plan of it is to be scheduled like that, and the answer has the input to plan it with later, or refuses.
 */
export const PlanRequestV1 = z.object({
  type: z.literal('plan'),
  version: z.literal(1),
  action: z.string(),
  actionVersion: z.number().int(),
  input: JsonRecord,
  delay: z
    .object({
      startAtMs: z.number().nullable(),
      startBeforeMs: z.number().nullable(),
      isFrozen: z.boolean(),
      after: z.array(z.string()),
    })
    .optional(),
});
export type PlanRequestV1 = z.infer<typeof PlanRequestV1>;

/**
 * The tree, or why it could not be planned. With an `input`, that is what the action was planned with: something around its plan phase
 * changed it. To a request with `delay`: the input to store; absent, as from an older executor: as it was.
 */
export const PlanAnswerV1 = z.object({
  type: z.literal('plan.answer'),
  version: z.literal(1),
  nodes: z.array(PlanNodeSchema).optional(),
  input: JsonRecord.optional(),
  error: StepErrorV1.optional(),
});
export type PlanAnswerV1 = z.infer<typeof PlanAnswerV1>;

/** On `http.<plugin>.<site>`: a request for one of the plugin's routes. Bodies are text. */
export const HttpRequestV1 = z.object({
  type: z.literal('http'),
  version: z.literal(1),
  method: z.string(),
  /** The declared path, `/ssh/jobs/:uuid`. */
  route: z.string(),
  params: z.record(z.string(), z.string()),
  query: z.record(z.string(), z.string()),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  /** Who calls, as the gateway found: the CN of a verified client certificate, or null. */
  clientName: z.string().nullable(),
});
export type HttpRequestV1 = z.infer<typeof HttpRequestV1>;

/** The plugin's answer. */
export const HttpAnswerV1 = z.object({
  type: z.literal('http.answer'),
  version: z.literal(1),
  status: z.number().int().min(100).max(599),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().default(''),
});
export type HttpAnswerV1 = z.infer<typeof HttpAnswerV1>;

/** On `store.<plugin>`: documents of the plugin's, kept in the gateway's database. */
export const StoreRequestV1 = z.discriminatedUnion('op', [
  z.object({ type: z.literal('store'), version: z.literal(1), op: z.literal('get'), collection: z.string(), key: z.string() }),
  z.object({
    type: z.literal('store'),
    version: z.literal(1),
    op: z.literal('put'),
    collection: z.string(),
    key: z.string(),
    document: JsonRecord,
    /** A word to find it by, such as a host's name. */
    index: z.string().optional(),
    /** Put only if the document has this revision now; 0: only if there is none. Absent: always. */
    ifRevision: z.number().int().nonnegative().optional(),
  }),
  z.object({ type: z.literal('store'), version: z.literal(1), op: z.literal('delete'), collection: z.string(), key: z.string() }),
  z.object({ type: z.literal('store'), version: z.literal(1), op: z.literal('find'), collection: z.string(), index: z.string() }),
]);
export type StoreRequestV1 = z.infer<typeof StoreRequestV1>;

/** A stored document; its revision grows by one with each put. */
export const StoredDocument = z.object({ key: z.string(), document: JsonRecord, revision: z.number().int() });
export type StoredDocument = z.infer<typeof StoredDocument>;

/** `ok: false` means that the revision was another. */
export const StoreAnswerV1 = z.object({
  type: z.literal('store.answer'),
  version: z.literal(1),
  ok: z.boolean(),
  documents: z.array(StoredDocument).default([]),
});
export type StoreAnswerV1 = z.infer<typeof StoreAnswerV1>;
