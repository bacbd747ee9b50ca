import { EntitySchema } from 'typeorm';

/** A row of `dynflow_plan_dependencies`: a plan that begins when another one has stopped. */
export interface PlanDependencyColumns {
  plan_id: string;
  /** May name a plan that does not exist. */
  after_id: string;
}

const primary = { primary: true, primaryKeyConstraintName: 'dynflow_plan_dependencies_pkey' };

export const planDependencyEntity = (): EntitySchema<PlanDependencyColumns> =>
  new EntitySchema<PlanDependencyColumns>({
    name: 'PlanDependency',
    tableName: 'dynflow_plan_dependencies',
    columns: {
      plan_id: { type: 'text', ...primary },
      after_id: { type: 'text', ...primary },
    },
    indices: [{ name: 'dynflow_plan_dependencies_after', columns: ['after_id'] }],
    foreignKeys: [
      {
        name: 'dynflow_plan_dependencies_plan',
        target: 'ExecutionPlan',
        columnNames: ['plan_id'],
        referencedColumnNames: ['id'],
        onDelete: 'CASCADE',
      },
    ],
  });
