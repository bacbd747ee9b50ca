import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonSchemaFiles, schemaFolder } from './spec-support/json-schemas.js';

describe('the JSON Schemas of the messages', () => {
  it('are those that the code has; `npm run gen` writes them anew', async () => {
    const written = new Map(readdirSync(schemaFolder).map((name) => [name, readFileSync(join(schemaFolder, name), 'utf8')]));
    const expected = await jsonSchemaFiles();
    expect(written).toEqual(expected);
  });
});
