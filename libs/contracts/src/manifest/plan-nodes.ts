import { z } from 'zod';
import { Json } from '../json.js';
import type { JsonValue } from '@dynflow/kernel';

/**
 * What an action's plan phase decides, as data: the tree that Dynflow's `plan` method builds by calling `plan_self`, `plan_action`,
 * `sequence` and `concurrence`. A manifest may carry it as it is; a plan method returns it. The body of a plan is inside an implicit
 * concurrence; references to outputs make the order.
 *
 * Values in `input` may hold placeholders, each an object with one of these keys; whatever they bring in is never looked through again:
 * - `{ $input: [path] }` – the value there in the input that this action was planned with; absent becomes null.
 * - `{ $omit: [keys] }` – the whole of that input without these top-level keys.
 * - `{ $output: name, path: [subkeys] }` – will be the output of the run step of a sibling (its `as`) or of the action itself (`self`).
 */
export type PlanNode =
  | { kind: 'self'; input?: JsonValue | undefined }
  | { kind: 'action'; action: string; input: JsonValue; as?: string | undefined; when?: string[] | undefined }
  | { kind: 'sequence'; nodes: PlanNode[] }
  | { kind: 'concurrence'; nodes: PlanNode[] };

/** Schema of {@link PlanNode}. */
export const PlanNodeSchema: z.ZodType<PlanNode> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('self'), input: Json.optional() }),
    z.object({
      kind: z.literal('action'),
      action: z.string(),
      input: Json,
      as: z.string().optional(),
      when: z.array(z.string()).optional(),
    }),
    z.object({ kind: z.literal('sequence'), nodes: z.array(PlanNodeSchema) }),
    z.object({ kind: z.literal('concurrence'), nodes: z.array(PlanNodeSchema) }),
  ]),
);
