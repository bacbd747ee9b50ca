import { z } from 'zod';
import type { JsonObject, JsonValue } from '@dynflow/kernel';

/*
 * What plugins give and get is most of every message, so it is looked through once, without a copy. (`z.json()` takes ten times as
 * long, and slows down the parsing of all else in a schema that it is part of, because it refers to itself.)
 */

/** Any JSON value. */
export const Json: z.ZodType<JsonValue> = z.unknown().refine(isJson, 'Invalid input: expected a JSON value') as z.ZodType<JsonValue>;

/** A JSON object: what every input, output, checkpoint and document is. */
export const JsonRecord: z.ZodType<JsonObject> = z
  .record(z.string(), z.unknown())
  .refine(isJson, 'Invalid input: expected a JSON object') as z.ZodType<JsonObject>;

/** Looks through the whole value, in a list and not in calls, so that none is too deep. */
function isJson(value: unknown): boolean {
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const item = waiting.pop();
    if (Array.isArray(item)) {
      for (const element of item) {
        waiting.push(element);
      }
    } else if (isPlain(item)) {
      for (const key in item) {
        waiting.push(item[key]);
      }
    } else if (item !== null && typeof item !== 'string' && typeof item !== 'boolean' && !Number.isFinite(item)) {
      return false;
    }
  }
  return true;
}

/** Not a date, nor an object of any other class: JSON would make something else of it. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
