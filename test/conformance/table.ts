import { basename, join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { root, type Behaviour, type Section } from './catalogue.js';
import type { NamedTest } from './named-tests.js';
import { ADDED_PREFIX } from './problems.js';

export const tablePath = 'docs/conformance/dynflow.md';

export interface Totals {
  readonly ids: number;
  readonly tests: number;
  readonly reasons: number;
  readonly open: number;
}

/** Counts of some sections. */
export function totalsOf(sections: readonly Section[], tests: readonly NamedTest[]): Totals {
  const tested = new Set(tests.map(({ id }) => id));
  const ids = sections.flatMap((section) => section.ids);
  return {
    ids: ids.length,
    tests: ids.filter(({ id }) => tested.has(id)).length,
    reasons: ids.filter(({ reason }) => reason !== undefined).length,
    open: ids.filter(({ todo }) => todo === true).length,
  };
}

/** The page with every behaviour and where it is shown, as it is committed. */
export async function renderTable(sections: readonly Section[], tests: readonly NamedTest[]): Promise<string> {
  const ofDynflow = sections.filter(({ prefix }) => prefix !== ADDED_PREFIX);
  const added = sections.filter(({ prefix }) => prefix === ADDED_PREFIX);
  const text = `# Conformance with Dynflow

Every behaviour that Dynflow's own tests assert, the test that shows it here, or why there is none. The numbers are those of a survey of its
suite (version 2.0.0); in its words, an _executor world_ is a gateway with its engine, and _locks_ are the leases of shards and singletons.

Made by \`npm run conformance\` from \`${join('test/conformance/dynflow')}\`; do not edit. \`npm run conformance -- --mutate\` breaks behaviours drawn at
random, one at a time, and sees that their tests notice.

| | behaviours | with a test | with a reason | open |
| --- | --- | --- | --- | --- |
${totalsRow('Dynflow’s suite', totalsOf(ofDynflow, tests))}
${totalsRow('not tested by Dynflow', totalsOf(added, tests))}

${sections.map((section) => renderSection(section, tests)).join('\n')}`;
  return format(text, { ...(await resolveConfig(join(root, 'package.json'))), parser: 'markdown' });
}

function totalsRow(name: string, { ids, tests, reasons, open }: Totals): string {
  const share = (count: number): string => `${count} (${Math.floor((count * 100) / ids)} %)`;
  return `| ${name} | ${ids} | ${share(tests)} | ${share(reasons)} | ${open} |`;
}

function renderSection({ section, title, ids }: Section, tests: readonly NamedTest[]): string {
  const rows = ids.map((entry) => `| ${entry.id} | ${cell(entry.behaviour)} | ${shownBy(entry, tests)} |`);
  return `## ${section.replace('6.', '')} ${title}\n\n| id | behaviour | shown by |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}

function shownBy({ id, reason, note }: Behaviour, tests: readonly NamedTest[]): string {
  const test = tests.find((each) => each.id === id);
  if (test !== undefined) {
    const link = `[${basename(test.file)}](../../${test.file})`;
    return note === undefined ? link : `${link}: ${cell(note)}`;
  }
  return reason === undefined ? 'open' : `— ${cell(reason)}`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');
