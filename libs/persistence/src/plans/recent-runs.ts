import { begunTimes, type RecentRun, type StepDetail } from '@dynflow/engine';
import type { JsonObject } from '@dynflow/kernel';

/** A run step with what its action was asked for. */
export interface RecentRunColumns {
  readonly plan_id: string;
  readonly id: number;
  readonly name: string;
  readonly version: number;
  readonly input: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly detail: string;
}

/**
 * Run steps that began or ended since a moment. Their plans are found by the indexes on state and end, one after the other: what ended before that moment has
 * no such step.
 *
 * @param isNamed the condition that the action's name is one of those asked for; @param since the parameter with the moment.
 */
export function recentRunsStatement(isNamed: string, since: string): string {
  return `SELECT s.plan_id, s.id, a.name, a.version, a.input, s.started_at, s.ended_at, s.detail
    FROM dynflow_steps s
    JOIN dynflow_actions a ON a.plan_id = s.plan_id AND a.id = s.action_id
    WHERE s.plan_id IN (
        SELECT id FROM dynflow_execution_plans WHERE state IN ('running', 'paused')
        UNION ALL SELECT id FROM dynflow_execution_plans WHERE ended_at >= ${since}
      )
      AND s.kind = 'run' AND s.started_at IS NOT NULL AND ${isNamed}
      AND (s.ended_at IS NULL OR s.ended_at >= ${since})`;
}

export function recentRun({ plan_id, id, name, version, input, started_at, ended_at, detail }: RecentRunColumns): RecentRun {
  const begunAtMs = begunTimes({ startedAtMs: started_at, endedAtMs: ended_at, detail: JSON.parse(detail) as StepDetail });
  return { action: name, version, input: JSON.parse(input) as JsonObject, step: `${plan_id}/${id}`, begunAtMs };
}
