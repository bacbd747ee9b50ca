// `npm run conformance`: writes and prints the table of conformance with Dynflow.
// `npm run conformance -- --mutate [--count 40] [--seed 1] [--ids AR1,AR2]`: breaks behaviours and sees that their tests notice.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCatalogue, root } from './catalogue.js';
import { mutate } from './mutate.js';
import { findNamedTests, type NamedTest } from './named-tests.js';
import { problemsOf, unmutated } from './problems.js';
import { renderTable, tablePath } from './table.js';

/** Runs the command with these arguments; failure is told by the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      mutate: { type: 'boolean', default: false },
      count: { type: 'string', default: '40' },
      seed: { type: 'string', default: String(Date.now() % 100_000) },
      ids: { type: 'string' },
    },
  });
  const tests = findNamedTests();
  const isWell = values.mutate
    ? await mutate(readCatalogue(), tests, { count: Number(values.count), seed: Number(values.seed), ids: values.ids?.split(',') })
    : await writeTable(tests);
  process.exitCode = isWell ? 0 : 1;
}

async function writeTable(tests: readonly NamedTest[]): Promise<boolean> {
  closeTodos(tests);
  const sections = readCatalogue();
  const text = await renderTable(sections, tests);
  mkdirSync(dirname(join(root, tablePath)), { recursive: true });
  writeFileSync(join(root, tablePath), text);
  const problems = problemsOf(sections, tests);
  process.stdout.write(text + problems.map((problem) => `\n✗ ${problem}`).join(''));
  const lacking = unmutated(
    sections.flatMap(({ ids }) => ids),
    tests,
  );
  process.stdout.write(`\nwithout mutation: ${lacking.join(' ') || 'none'}`);
  process.stdout.write(`\n${tablePath} is written; ${problems.length} problems\n`);
  return problems.length === 0;
}

/** What has got its test is not open any more. */
function closeTodos(tests: readonly NamedTest[]): void {
  const tested = new Set(tests.map(({ id }) => id));
  for (const { file, ids } of readCatalogue()) {
    const path = join(root, file);
    const before = readFileSync(path, 'utf8');
    let after = before;
    for (const { id, todo } of ids) {
      if (todo === true && tested.has(id)) {
        after = after.replace(new RegExp(`("id": "${id}",[^}]*?), "todo": true`), '$1');
      }
    }
    if (after !== before) {
      writeFileSync(path, after);
    }
  }
}
