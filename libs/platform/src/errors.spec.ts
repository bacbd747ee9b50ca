import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const code = /\bDYN_[A-Z][A-Z_]*[A-Z]\b/g;

/** Codes in what is shipped: no specs, nothing of the testing kit. */
function codesInSources(): Set<string> {
  const parts = ['libs', 'apps'].flatMap((group) => readdirSync(join(root, group)).map((name) => join(root, group, name, 'src')));
  const files = parts
    .filter((part) => !part.includes(join('libs', 'testing')))
    .flatMap((part) => filesUnder(part))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !/[/\\](spec-support|testing)[/\\]/.test(file));
  return new Set(files.flatMap((file) => readFileSync(file, 'utf8').match(code) ?? []));
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name));
}

describe('docs/errors.md', () => {
  it('has one row for each code in the sources, and no other', () => {
    const rows = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `(DYN_[A-Z_]+)` +\|/gm)].map((row) => row[1] ?? '');
    const used = codesInSources();

    expect([...used].filter((one) => !rows.includes(one))).toEqual([]);
    expect(rows.filter((one) => !used.has(one))).toEqual([]);
    expect(rows.filter((one, index) => rows.indexOf(one) !== index)).toEqual([]);
    expect(used.size).toBeGreaterThan(40);
  });
});
