import { z } from 'zod';
import type { JsonObject, JsonValue } from '@dynflow/kernel';

/** Any JSON value. */
export const Json: z.ZodType<JsonValue> = z.json() as z.ZodType<JsonValue>;

/** A JSON object: what every input, output, checkpoint and document is. */
export const JsonRecord: z.ZodType<JsonObject> = z.record(z.string(), Json) as z.ZodType<JsonObject>;
