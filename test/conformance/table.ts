import { basename } from 'node:path';
import { catalogueFolder, type Behaviour, type Section } from './catalogue.js';
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
export function renderTable(sections: readonly Section[], tests: readonly NamedTest[]): string {
  const ofDynflow = sections.filter(({ prefix }) => prefix !== ADDED_PREFIX);
  const added = sections.filter(({ prefix }) => prefix === ADDED_PREFIX);
  return `# Conformance with Dynflow

Every behaviour that Dynflow's own tests assert, the test that shows it here, or why there is none. The numbers are those of a survey of its
suite (version 2.0.0); in its words, an _executor world_ is a gateway with its engine, and _locks_ are the leases of shards and singletons.

Made by \`npm run conformance\` from \`${catalogueFolder}\`; do not edit. \`npm run conformance -- --mutate\` breaks behaviours drawn at
random, one at a time, and sees that their tests notice.

${aligned([
  ['', 'behaviours', 'with a test', 'with a reason', 'open'],
  totalsRow('Dynflow’s suite', totalsOf(ofDynflow, tests)),
  totalsRow('not tested by Dynflow', totalsOf(added, tests)),
])}${sections.map((section) => renderSection(section, tests)).join('')}`;
}

function totalsRow(name: string, { ids, tests, reasons, open }: Totals): string[] {
  const share = (count: number): string => `${count} (${Math.floor((count * 100) / ids)} %)`;
  return [name, String(ids), share(tests), share(reasons), String(open)];
}

function renderSection({ section, title, ids }: Section, tests: readonly NamedTest[]): string {
  const rows = ids.map((entry) => [entry.id, cell(entry.behaviour), shownBy(entry, tests)]);
  return `\n## ${section.replace('6.', '')} ${title}\n\n${aligned([['id', 'behaviour', 'shown by'], ...rows])}`;
}

/** A table as the formatter of the project writes it, which itself takes seconds for so many rows. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |\n`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('');
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
