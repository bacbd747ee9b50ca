import { isoTimeOf } from '@dynflow/kernel';
import type { Schedule } from '@dynflow/contracts';
import type { PlanResult } from './states.js';

/*
 * When a scheduled plan may begin. Pure: the schedule, how its prerequisites stand, and the time go in; what is to be done comes out.
 *
 * What can never begin any more ends at once, whatever else holds it: its deadline has passed, or all its prerequisites have ended and
 * one of them badly. Otherwise it begins when nothing holds it: it is not frozen, its moment has come, all its prerequisites stopped.
 */

/**
 * How a prerequisite stands: not at rest, paused, stopped with this result, or gone from the store, so that nobody knows how it ended.
 * `unknown` has not been looked up yet.
 */
export type Standing = 'unknown' | 'open' | 'paused' | 'gone' | PlanResult;

export interface Prerequisite {
  readonly plan: string;
  readonly standing: Standing;
}

export type StartDecision =
  | { kind: 'begin' }
  /** It could not begin in time. */
  | { kind: 'expired'; beforeMs: number }
  | { kind: 'failed'; prerequisites: readonly Prerequisite[] }
  | { kind: 'wait'; waitingFor: string; untilMs: number | null };

/** How many prerequisites are named before the rest is only counted. */
const NAMED = 5;

export function decideStart(schedule: Schedule, prerequisites: readonly Prerequisite[], nowMs: number): StartDecision {
  const { startAtMs, startBeforeMs, isFrozen } = schedule;
  if (startBeforeMs !== null && startBeforeMs <= nowMs) {
    return { kind: 'expired', beforeMs: startBeforeMs };
  }
  const waits = prerequisites.filter(({ standing }) => standing === 'unknown' || standing === 'open' || standing === 'paused');
  const failed = prerequisites.filter((one) => !waits.includes(one) && one.standing !== 'success' && one.standing !== 'warning');
  if (waits.length === 0 && failed.length > 0) {
    return { kind: 'failed', prerequisites: failed };
  }
  const isEarly = startAtMs !== null && startAtMs > nowMs;
  if (!isFrozen && !isEarly && waits.length === 0) {
    return { kind: 'begin' };
  }
  const reasons = [
    ...(isFrozen ? ['operator: frozen'] : []),
    ...waits.slice(0, NAMED).map(({ plan, standing }) => `plan ${plan}${standing === 'paused' ? ' (paused)' : ''}`),
    ...(waits.length > NAMED ? [`${waits.length - NAMED} more plans`] : []),
    ...(isEarly ? [`timer at ${isoTimeOf(startAtMs)}`] : []),
  ];
  const moments = [...(isEarly && !isFrozen ? [startAtMs] : []), ...(startBeforeMs === null ? [] : [startBeforeMs])];
  return { kind: 'wait', waitingFor: reasons.join(', '), untilMs: moments.length === 0 ? null : Math.min(...moments) };
}

/** The prerequisites in a sentence. */
export function describeFailed(prerequisites: readonly Prerequisite[]): string {
  return prerequisites.map(({ plan, standing }) => `${plan} (${standing === 'gone' ? 'not found any more' : standing})`).join(', ');
}
