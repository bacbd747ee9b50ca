import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/plugin-authors.md'), 'utf8');

interface Example {
  readonly file: string;
  readonly code: string;
}

/** Code without its layout, which depends on how far it is indented. */
const bare = (text: string): string => text.replaceAll(/\s+/g, '').replaceAll(/,(?=[)\]}])/g, '');

const examples: Example[] = [...page.matchAll(/<!-- (\S+) -->\n\n```ts\n(.*?)```/gs)].map(([, file = '', code = '']) => ({ file, code }));

/** Each of these files is compiled with everything else, and its tests run with all others. */
describe('the examples of docs/plugin-authors.md', () => {
  it('are there', () => {
    expect(examples.length).toBeGreaterThanOrEqual(8);
  });

  it.each(examples.map(({ file, code }) => [file, code.trim().split('\n')[0] ?? '', code]))('stand in %s: %s', (file, _first, code) => {
    expect(existsSync(join(root, file))).toBe(true);
    expect(bare(readFileSync(join(root, file), 'utf8'))).toContain(bare(code));
  });
});
