/*
 * How fast an action's sub-plans may begin: so many at once, and so many over a span of time. Pure; times are epoch milliseconds.
 */

/** What an action says of it. */
export interface Pace {
  /** How many may run at once; null: any number; 0: they are made, and none begins. */
  readonly limit: number | null;
  /** Over how long their beginnings are spread; null: they are not. What has not begun by then ends cancelled. */
  readonly spreadOverMs: number | null;
}

/** Dynflow's rule: all of them would have begun at the end of the span if only one ran at a time, and earlier the more run. */
export function intervalMsOf(pace: Pace, total: number): number | null {
  return pace.spreadOverMs === null ? null : pace.spreadOverMs / Math.max(1, total * level(pace));
}

/** Sub-plans are made at once and wait; without this they are made as they may begin. */
export function isHeldBack({ limit, spreadOverMs }: Pace): boolean {
  return spreadOverMs !== null || limit === 0;
}

/** How many more may run; null: any number. */
export function capacityOf({ limit }: Pace, running: number): number | null {
  return limit === null ? null : Math.max(0, limit - running);
}

/** How many of those that wait begin now: the first `level` at once, then one each interval, and never more than the limit at once. */
export function startsDue(
  pace: Pace,
  at: { total: number; sinceMs: number; nowMs: number; started: number; running: number; waiting: number },
): number {
  const intervalMs = intervalMsOf(pace, at.total);
  if (intervalMs === null) {
    return 0;
  }
  const allowed = level(pace) + Math.floor(Math.max(0, at.nowMs - at.sinceMs) / intervalMs);
  return Math.max(0, Math.min(allowed - at.started, at.waiting, capacityOf(pace, at.running) ?? Infinity));
}

/** When the next one may begin because time has passed; null: time changes nothing. */
export function nextStartMs(pace: Pace, at: { total: number; sinceMs: number; started: number }): number | null {
  const intervalMs = intervalMsOf(pace, at.total);
  return intervalMs === null ? null : at.sinceMs + Math.max(0, at.started - level(pace) + 1) * intervalMs;
}

function level({ limit }: Pace): number {
  return limit ?? 1;
}
