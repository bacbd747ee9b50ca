/** The last moment that has a name in ISO 8601 as JavaScript writes it. */
const LAST_MS = 8_640_000_000_000_000;

/** A moment in epoch milliseconds as people and programs read it: `2026-05-04T10:20:30.000Z`. */
export function isoTimeOf(ms: number): string {
  return new Date(Math.min(LAST_MS, Math.max(-LAST_MS, ms))).toISOString();
}
