import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { messageSchemas } from '../message-schemas.js';

/** Where the JSON Schemas lie. */
export const schemaFolder = join(import.meta.dirname, '../../schemas');

/**
 * The JSON Schema (2020-12) of each message, as files: what may be on the wire. Fields with a default may be missing; fields that a
 * schema does not name are allowed, because messages only grow.
 */
export async function jsonSchemaFiles(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const [type, schema] of Object.entries(messageSchemas)) {
    const name = `${type}.v1.json`;
    const content = { $id: `urn:dynflow:v1:${type}`, title: type, ...z.toJSONSchema(schema, { io: 'input' }) };
    const style = await resolveConfig(join(schemaFolder, name));
    files.set(name, await format(JSON.stringify(content), { ...style, parser: 'json' }));
  }
  return files;
}
