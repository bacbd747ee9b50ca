import type { Measurement } from './engine-suite.js';

/** Measurements side by side for people, one a line, figures to the right; a figure that does not apply is left blank. */
export function tableOf(rows: readonly Measurement[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))] as (keyof Measurement)[];
  const cells = [columns as string[], ...rows.map((row) => columns.map((column) => String(row[column] ?? '')))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const lineOf = (line: string[], isHead: boolean): string =>
    line
      .map((cell, index) => (isHead || Number.isNaN(Number(cell)) ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  return cells.map((line, index) => `${lineOf(line, index === 0).trimEnd()}\n`).join('');
}
