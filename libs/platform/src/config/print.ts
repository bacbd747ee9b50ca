import type { ConfigEntry } from './entries.js';

/**
 * The configuration in force, secrets hidden: a table, or with `json` one JSON object by variable.
 * Ends with a line feed.
 */
export function printConfig(entries: readonly ConfigEntry[], { json = false }: { json?: boolean } = {}): string {
  if (json) {
    const byVariable = entries.map(({ variable, fileKey, value, source, from, plugin }) => [
      variable,
      { value, source, from, fileKey, plugin },
    ]);
    return `${JSON.stringify(Object.fromEntries(byVariable), null, 2)}\n`;
  }
  const rows = [['SETTING', 'VALUE', 'SOURCE'], ...entries.map((entry) => [entry.variable, valueText(entry), sourceText(entry)])];
  const widths = [0, 1].map((column) => Math.min(60, Math.max(...rows.map((row) => row[column]?.length ?? 0))));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function valueText({ value }: ConfigEntry): string {
  if (value === null) {
    return '-';
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? '(empty list)' : value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))).join(',');
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function sourceText({ source, from }: ConfigEntry): string {
  return from === null ? source : `${source} (${from})`;
}
