import { EntitySchema } from 'typeorm';

/** A row of `dynflow_steps`. */
export interface StepColumns {
  plan_id: string;
  id: number;
  kind: string;
  action_id: number;
  queue: string;
  state: string;
  attempt: number;
  executor: string | null;
  waiting_for: string | null;
  wake_at: number | null;
  error: string | null;
  started_at: number | null;
  ended_at: number | null;
  execution_time: number;
  detail: string;
  progress: number;
  retries: number;
}

export const stepEntity = (): EntitySchema<StepColumns> =>
  new EntitySchema<StepColumns>({
    name: 'Step',
    tableName: 'dynflow_steps',
    columns: {
      plan_id: { type: 'text', primary: true, primaryKeyConstraintName: 'dynflow_steps_pkey' },
      id: { type: 'integer', primary: true, primaryKeyConstraintName: 'dynflow_steps_pkey' },
      kind: { type: 'text' },
      action_id: { type: 'integer' },
      queue: { type: 'text' },
      state: { type: 'text' },
      attempt: { type: 'integer' },
      executor: { type: 'text', nullable: true },
      waiting_for: { type: 'text', nullable: true },
      wake_at: { type: 'double precision', nullable: true },
      error: { type: 'text', nullable: true },
      started_at: { type: 'double precision', nullable: true },
      ended_at: { type: 'double precision', nullable: true },
      execution_time: { type: 'double precision' },
      detail: { type: 'text' },
      progress: { type: 'double precision', default: 0 },
      retries: { type: 'integer', default: 0 },
    },
    indices: [
      // Few steps are open at a time, and most have ended: the index stays small for ever.
      { name: 'dynflow_steps_open', columns: ['state'], where: "state IN ('running', 'suspended')" },
    ],
    foreignKeys: [
      { name: 'dynflow_steps_plan', target: 'ExecutionPlan', columnNames: ['plan_id'], referencedColumnNames: ['id'], onDelete: 'CASCADE' },
    ],
  });
