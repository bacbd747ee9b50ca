import type { Measurement } from './measurement.js';

/** The same in every row: it need not be a column. */
const HIDDEN = new Set(['suite', 'bus']);

/** Measurements for people: rows with the same figures side by side in one table, as Markdown, figures to the right. */
export function tablesOf(rows: readonly Measurement[]): string {
  const tables = new Map<string, Measurement[]>();
  for (const row of rows) {
    const columns = columnsOf([row]).join();
    tables.set(columns, [...(tables.get(columns) ?? []), row]);
  }
  return [...tables.values()].map(tableOf).join('\n');
}

function tableOf(rows: readonly Measurement[]): string {
  const columns = columnsOf(rows);
  const cells = rows.map((row) => columns.map((column) => String(row[column] ?? '')));
  const isFigure = columns.map((column) => rows.every((row) => typeof row[column] === 'number'));
  const widths = columns.map((column, index) => Math.max(column.length, ...cells.map((line) => line[index]?.length ?? 0)));
  const lineOf = (line: readonly string[]): string =>
    `| ${line.map((cell, index) => cell[isFigure[index] === true ? 'padStart' : 'padEnd'](widths[index] ?? 0)).join(' | ')} |\n`;
  const rule = widths.map((width, index) => (isFigure[index] === true ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [columns, rule, ...cells].map(lineOf).join('');
}

function columnsOf(rows: readonly Measurement[]): (keyof Measurement)[] {
  const columns = new Set(rows.flatMap((row) => Object.keys(row))) as Set<keyof Measurement>;
  return [...columns].filter((column) => !HIDDEN.has(column));
}
