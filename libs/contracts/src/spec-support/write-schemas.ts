import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonSchemaFiles, schemaFolder } from './json-schemas.js';

/** Writes the folder of JSON Schemas anew; `npm run gen` calls it. */
export async function main(): Promise<void> {
  const files = await jsonSchemaFiles();
  rmSync(schemaFolder, { recursive: true, force: true });
  mkdirSync(schemaFolder);
  for (const [name, text] of files) {
    writeFileSync(join(schemaFolder, name), text);
  }
}
