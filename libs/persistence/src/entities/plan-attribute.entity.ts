import { EntitySchema } from 'typeorm';
import { counterType, type Dialect } from './dialect.js';

/** A row of `dynflow_plan_attributes`: a word by which a plan is found. */
export interface PlanAttributeColumns {
  plan_number: number;
  name: string;
  value: string;
}

const primary = { primary: true, primaryKeyConstraintName: 'dynflow_plan_attributes_pkey' };

export const planAttributeEntity = (dialect: Dialect): EntitySchema<PlanAttributeColumns> =>
  new EntitySchema<PlanAttributeColumns>({
    name: 'PlanAttribute',
    tableName: 'dynflow_plan_attributes',
    columns: {
      plan_number: { type: counterType(dialect), ...primary },
      name: { type: 'text', ...primary },
      value: { type: 'text' },
    },
    // The newest plan of a value is at its end.
    indices: [{ name: 'dynflow_plan_attributes_value', columns: ['name', 'value', 'plan_number'] }],
    foreignKeys: [
      {
        name: 'dynflow_plan_attributes_plan',
        target: 'ExecutionPlan',
        columnNames: ['plan_number'],
        referencedColumnNames: ['number'],
        onDelete: 'CASCADE',
      },
    ],
  });
