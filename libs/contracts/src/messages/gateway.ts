import { z } from 'zod';
import { Json } from '../json.js';

const Plan = { plan: z.string() };

/** What is asked of whoever runs a plan: the gateways of a database do it for each other, so that each can be asked about every plan. */
export const PlanOperation = z.discriminatedUnion('op', [
  z.object({ op: z.literal('cancel'), ...Plan, force: z.boolean() }),
  z.object({ op: z.literal('halt'), ...Plan, family: z.boolean() }),
  z.object({ op: z.literal('resume'), ...Plan }),
  z.object({ op: z.literal('skip'), ...Plan, step: z.number().int().positive() }),
  z.object({ op: z.literal('event'), ...Plan, step: z.number().int().positive(), data: Json }),
  z.object({ op: z.literal('freeze'), ...Plan, isFrozen: z.boolean(), newStartAtMs: z.number().nullable().optional() }),
]);
export type PlanOperation = z.infer<typeof PlanOperation>;

/** On `gateway.<shard>`, a request: the gateway that has the shard performs it. */
export const GatewayRequestV1 = z.object({ type: z.literal('gateway.request'), version: z.literal(1), operation: PlanOperation });
export type GatewayRequestV1 = z.infer<typeof GatewayRequestV1>;

/** What came of it; an error keeps its code and kind, so that whoever was asked first answers as if it had failed there. */
export const GatewayAnswerV1 = z.object({
  type: z.literal('gateway.answer'),
  version: z.literal(1),
  outcome: z.discriminatedUnion('ok', [
    z.object({ ok: z.literal(true), value: Json }),
    z.object({
      ok: z.literal(false),
      kind: z.enum(['notFound', 'invalidInput', 'unavailable', 'other']),
      code: z.string(),
      message: z.string(),
      field: z.string().optional(),
    }),
  ]),
});
export type GatewayAnswerV1 = z.infer<typeof GatewayAnswerV1>;
