// `npm run conformance`: writes and prints the table of conformance with Dynflow.
// `npm run conformance -- --mutate [--count 40] [--seed 1] [--ids AR1,AR2]`: breaks behaviours and sees that their tests notice.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCatalogue, root, type Behaviour } from './catalogue.js';
import { mutate } from './mutate.js';
import { findNamedTests, type NamedTest } from './named-tests.js';
import { problemsOf, unmutated } from './problems.js';
import { saveSection } from './save-section.js';
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
  await closeTodos(tests);
  const sections = readCatalogue();
  const text = renderTable(sections, tests);
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

/** What has got its test, or a reason, is not open any more. */
async function closeTodos(tests: readonly NamedTest[]): Promise<void> {
  const tested = new Set(tests.map(({ id }) => id));
  for (const section of readCatalogue()) {
    const isClosed = ({ id, todo, reason }: Behaviour): boolean => todo === true && (tested.has(id) || reason !== undefined);
    if (section.ids.some(isClosed)) {
      await saveSection({ ...section, ids: section.ids.map((entry) => (isClosed(entry) ? { ...entry, todo: undefined } : entry)) });
    }
  }
}
