import type { DataSource } from 'typeorm';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import type { PlanListQuery, PlanSummary } from './plan-reader.js';

const SHOWN = [
  'number',
  'id',
  'label',
  'state',
  'result',
  'created_at',
  'started_at',
  'ended_at',
  'execution_time',
  'caller_plan',
  'caller_action',
] as const;

/** A page of plans. The numbers of a page that follows are below (newest first) or above (oldest first) `after`. */
export async function listPlans(source: DataSource, query: PlanListQuery): Promise<PlanSummary[]> {
  const isNewestFirst = query.order !== 'oldest';
  const select = source
    .getRepository<ExecutionPlanColumns>('ExecutionPlan')
    .createQueryBuilder('plan')
    .select(SHOWN.map((column) => `plan.${column}`))
    .orderBy('plan.number', isNewestFirst ? 'DESC' : 'ASC')
    .limit(query.limit);
  for (const [column, value] of [
    ['state', query.state],
    ['result', query.result],
    ['label', query.label],
    ['caller_plan', query.callerPlan],
  ] as const) {
    if (value !== undefined) {
      select.andWhere(`plan.${column} = :${column}`, { [column]: value });
    }
  }
  if (query.after !== undefined) {
    select.andWhere(`plan.number ${isNewestFirst ? '<' : '>'} :after`, { after: query.after });
  }
  if (query.offset !== undefined) {
    select.offset(query.offset);
  }
  return (await select.getMany()).map(summary);
}

function summary(columns: ExecutionPlanColumns): PlanSummary {
  return {
    // PostgreSQL gives its 64-bit numbers as text.
    number: Number(columns.number),
    id: columns.id,
    label: columns.label,
    state: columns.state as PlanSummary['state'],
    result: columns.result as PlanSummary['result'],
    createdAtMs: columns.created_at,
    startedAtMs: columns.started_at,
    endedAtMs: columns.ended_at,
    executionTimeMs: columns.execution_time,
    callerPlan: columns.caller_plan,
    callerAction: columns.caller_action,
  };
}
