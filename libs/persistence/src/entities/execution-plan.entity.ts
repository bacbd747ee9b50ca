import { EntitySchema } from 'typeorm';
import { counterType, type Dialect } from './dialect.js';

/** A row of `dynflow_execution_plans`. Times are epoch milliseconds, JSON is text. */
export interface ExecutionPlanColumns {
  /** Counts up with each plan that is made: the order of lists. */
  number: number;
  id: string;
  shard: number;
  label: string;
  state: string;
  result: string;
  run_flow: string;
  finalize_flow: string;
  phase: string;
  step_count: number;
  history: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  execution_time: number;
  caller_plan: string | null;
  caller_action: number | null;
  is_external: boolean | number;
  concurrency_limit: number | null;
  is_cancel_requested: boolean | number;
  sealed_secrets: string | null;
  request: string | null;
  priority: number;
  attributes: string;
  idempotency_key: string | null;
  schedule: string | null;
  held_because: string | null;
  is_halted: boolean | number;
  waiting_for: string | null;
}

export const executionPlanEntity = (dialect: Dialect): EntitySchema<ExecutionPlanColumns> =>
  new EntitySchema<ExecutionPlanColumns>({
    name: 'ExecutionPlan',
    tableName: 'dynflow_execution_plans',
    columns: {
      number: {
        type: counterType(dialect),
        primary: true,
        generated: 'increment',
        primaryKeyConstraintName: 'dynflow_execution_plans_pkey',
      },
      id: { type: 'text' },
      shard: { type: 'integer' },
      label: { type: 'text' },
      state: { type: 'text' },
      result: { type: 'text' },
      run_flow: { type: 'text' },
      finalize_flow: { type: 'text' },
      phase: { type: 'text' },
      step_count: { type: 'integer' },
      history: { type: 'text' },
      created_at: { type: 'double precision' },
      started_at: { type: 'double precision', nullable: true },
      ended_at: { type: 'double precision', nullable: true },
      execution_time: { type: 'double precision' },
      caller_plan: { type: 'text', nullable: true },
      caller_action: { type: 'integer', nullable: true },
      is_external: { type: 'boolean' },
      concurrency_limit: { type: 'integer', nullable: true },
      is_cancel_requested: { type: 'boolean' },
      sealed_secrets: { type: 'text', nullable: true },
      request: { type: 'text', nullable: true },
      priority: { type: 'integer', default: 0 },
      attributes: { type: 'text', default: '{}' },
      idempotency_key: { type: 'text', nullable: true },
      schedule: { type: 'text', nullable: true },
      held_because: { type: 'text', nullable: true },
      is_halted: { type: 'boolean', default: false },
      waiting_for: { type: 'text', nullable: true },
    },
    indices: [
      { name: 'dynflow_execution_plans_id', columns: ['id'], unique: true },
      {
        name: 'dynflow_execution_plans_idempotency_key',
        columns: ['idempotency_key'],
        unique: true,
        where: 'idempotency_key IS NOT NULL',
      },
      // Lists and counts by state, and the unfinished at start.
      { name: 'dynflow_execution_plans_state', columns: ['state', 'number'] },
      { name: 'dynflow_execution_plans_created_at', columns: ['created_at', 'number'] },
      { name: 'dynflow_execution_plans_state_started_at', columns: ['state', 'started_at', 'number'] },
      // Counts.
      { name: 'dynflow_execution_plans_state_result', columns: ['state', 'result'] },
      // A plan is entered once, when it has a result.
      { name: 'dynflow_execution_plans_result', columns: ['result', 'number'], where: "result <> 'pending'" },
      { name: 'dynflow_execution_plans_result_started_at', columns: ['result', 'started_at', 'number'], where: "result <> 'pending'" },
      { name: 'dynflow_execution_plans_label', columns: ['label', 'number'] },
      { name: 'dynflow_execution_plans_label_started_at', columns: ['label', 'started_at', 'number'] },
      // What retention may delete; a plan is entered once, when it has ended.
      { name: 'dynflow_execution_plans_ended_at', columns: ['ended_at'], where: 'ended_at IS NOT NULL' },
      { name: 'dynflow_execution_plans_started_at', columns: ['started_at'] },
      { name: 'dynflow_execution_plans_caller', columns: ['caller_plan'], where: 'caller_plan IS NOT NULL' },
    ],
  });
