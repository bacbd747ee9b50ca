import { Table, type MigrationInterface, type QueryRunner, type TableOptions } from 'typeorm';

/**
 * What plans got after release 0.1: schedule, priority, attributes, holds, progress, and what they are found by. Only additions, each
 * with a default, so that a gateway of the release before goes on writing to the same tables.
 */
export class PlanControl implements MigrationInterface {
  readonly name = 'PlanControl1795392000000';

  async up(runner: QueryRunner): Promise<void> {
    const isSqlite = runner.dataSource.options.type === 'better-sqlite3';
    for (const [table, column] of COLUMNS) {
      await runner.query(`ALTER TABLE ${table} ADD COLUMN ${column.replace('DEFAULT false', `DEFAULT ${isSqlite ? '0' : 'false'}`)}`);
    }
    for (const table of tables(isSqlite ? 'integer' : 'bigint')) {
      await runner.createTable(new Table(table));
    }
    for (const [name, definition] of INDEXES) {
      await runner.query(`CREATE ${definition.replace('INDEX ON', `INDEX "${name}" ON`)}`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const [name] of INDEXES.toReversed()) {
      await runner.query(`DROP INDEX "${name}"`);
    }
    for (const { name } of tables('integer').reverse()) {
      await runner.dropTable(name);
    }
    for (const [table, column] of COLUMNS.toReversed()) {
      await runner.query(`ALTER TABLE ${table} DROP COLUMN ${column.split(' ')[0]}`);
    }
  }
}

const COLUMNS: readonly (readonly [table: string, column: string])[] = [
  ['dynflow_execution_plans', '"priority" integer NOT NULL DEFAULT 0'],
  ['dynflow_execution_plans', '"attributes" text NOT NULL DEFAULT \'{}\''],
  ['dynflow_execution_plans', '"idempotency_key" text'],
  ['dynflow_execution_plans', '"schedule" text'],
  ['dynflow_execution_plans', '"held_because" text'],
  ['dynflow_execution_plans', '"is_halted" boolean NOT NULL DEFAULT false'],
  ['dynflow_execution_plans', '"waiting_for" text'],
  ['dynflow_actions', '"progress_weights" text'],
  ['dynflow_steps', '"progress" double precision NOT NULL DEFAULT 0'],
  ['dynflow_steps', '"retries" integer NOT NULL DEFAULT 0'],
];

const PLANS = '"dynflow_execution_plans"';

const INDEXES: readonly (readonly [name: string, definition: string])[] = [
  ['dynflow_execution_plans_idempotency_key', `UNIQUE INDEX ON ${PLANS} ("idempotency_key") WHERE idempotency_key IS NOT NULL`],
  ['dynflow_execution_plans_created_at', `INDEX ON ${PLANS} ("created_at", "number")`],
  ['dynflow_execution_plans_state_started_at', `INDEX ON ${PLANS} ("state", "started_at", "number")`],
  ['dynflow_execution_plans_state_result', `INDEX ON ${PLANS} ("state", "result")`],
  ['dynflow_execution_plans_result', `INDEX ON ${PLANS} ("result", "number") WHERE result <> 'pending'`],
  ['dynflow_execution_plans_result_started_at', `INDEX ON ${PLANS} ("result", "started_at", "number") WHERE result <> 'pending'`],
  ['dynflow_execution_plans_label', `INDEX ON ${PLANS} ("label", "number")`],
  ['dynflow_execution_plans_label_started_at', `INDEX ON ${PLANS} ("label", "started_at", "number")`],
];

function tables(numberType: string): TableOptions[] {
  const key = { isPrimary: true, isNullable: false };
  return [
    {
      name: 'dynflow_plan_attributes',
      columns: [
        { name: 'plan_number', type: numberType, ...key, primaryKeyConstraintName: 'dynflow_plan_attributes_pkey' },
        { name: 'name', type: 'text', ...key, primaryKeyConstraintName: 'dynflow_plan_attributes_pkey' },
        { name: 'value', type: 'text' },
      ],
      indices: [{ name: 'dynflow_plan_attributes_value', columnNames: ['name', 'value', 'plan_number'] }],
      foreignKeys: [
        {
          name: 'dynflow_plan_attributes_plan',
          columnNames: ['plan_number'],
          referencedTableName: 'dynflow_execution_plans',
          referencedColumnNames: ['number'],
          onDelete: 'CASCADE',
        },
      ],
    },
    {
      name: 'dynflow_plan_dependencies',
      columns: [
        { name: 'plan_id', type: 'text', ...key, primaryKeyConstraintName: 'dynflow_plan_dependencies_pkey' },
        { name: 'after_id', type: 'text', ...key, primaryKeyConstraintName: 'dynflow_plan_dependencies_pkey' },
      ],
      indices: [{ name: 'dynflow_plan_dependencies_after', columnNames: ['after_id'] }],
      foreignKeys: [
        {
          name: 'dynflow_plan_dependencies_plan',
          columnNames: ['plan_id'],
          referencedTableName: 'dynflow_execution_plans',
          referencedColumnNames: ['id'],
          onDelete: 'CASCADE',
        },
      ],
    },
  ];
}
