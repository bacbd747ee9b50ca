import type { SubPlanTally } from '@dynflow/engine';

/** A row of the count of a plan's sub-plans. */
export interface SubPlanTallyColumns {
  caller_action: number;
  outcome: string;
  count: number;
}

/** Counts the sub-plans that are at rest, by the action that made them and how they ended; `caller` is the placeholder of their caller's id. */
export function subPlanTalliesStatement(caller: string): string {
  return `
    SELECT plans.caller_action AS caller_action,
      CASE
        WHEN plans.result = 'success' THEN 'success'
        WHEN plans.is_cancel_requested OR plans.result = 'cancelled' THEN 'cancelled'
        WHEN root.kind = 'plan' AND root.state = 'error' THEN 'unplanned'
        ELSE 'failed'
      END AS outcome,
      CAST(COUNT(*) AS integer) AS count
    FROM dynflow_execution_plans AS plans LEFT JOIN dynflow_steps AS root ON root.plan_id = plans.id AND root.id = 1
    WHERE plans.caller_plan = ${caller} AND plans.state IN ('stopped', 'paused')
    GROUP BY 1, 2`;
}

export function subPlanTally(columns: SubPlanTallyColumns): SubPlanTally {
  return { callerAction: columns.caller_action, outcome: columns.outcome as SubPlanTally['outcome'], count: columns.count };
}
