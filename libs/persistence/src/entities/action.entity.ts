import { EntitySchema } from 'typeorm';

/** A row of `dynflow_actions`. */
export interface ActionColumns {
  plan_id: string;
  id: number;
  name: string;
  version: number;
  plan_step: number;
  run_step: number | null;
  finalize_step: number | null;
  caller_plan: string | null;
  caller_action: number | null;
  input: string;
  output_references: string;
  output: string;
  chunks_as: string | null;
  /** JSON; null: 1 for each phase. */
  progress_weights: string | null;
}

export const actionEntity = (): EntitySchema<ActionColumns> =>
  new EntitySchema<ActionColumns>({
    name: 'Action',
    tableName: 'dynflow_actions',
    columns: {
      plan_id: { type: 'text', primary: true, primaryKeyConstraintName: 'dynflow_actions_pkey' },
      id: { type: 'integer', primary: true, primaryKeyConstraintName: 'dynflow_actions_pkey' },
      name: { type: 'text' },
      version: { type: 'integer' },
      plan_step: { type: 'integer' },
      run_step: { type: 'integer', nullable: true },
      finalize_step: { type: 'integer', nullable: true },
      caller_plan: { type: 'text', nullable: true },
      caller_action: { type: 'integer', nullable: true },
      input: { type: 'text' },
      output_references: { type: 'text' },
      output: { type: 'text' },
      chunks_as: { type: 'text', nullable: true },
      progress_weights: { type: 'text', nullable: true },
    },
    foreignKeys: [
      {
        name: 'dynflow_actions_plan',
        target: 'ExecutionPlan',
        columnNames: ['plan_id'],
        referencedColumnNames: ['id'],
        onDelete: 'CASCADE',
      },
    ],
  });
