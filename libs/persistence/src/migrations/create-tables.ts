import { Table, type MigrationInterface, type QueryRunner, type TableColumnOptions, type TableOptions } from 'typeorm';

/** The tables of release 0.1. */
export class CreateTables implements MigrationInterface {
  readonly name = 'CreateTables1795305600000';

  async up(runner: QueryRunner): Promise<void> {
    const isSqlite = runner.dataSource.options.type === 'better-sqlite3';
    for (const table of tables(isSqlite ? 'integer' : 'bigint')) {
      await runner.createTable(new Table(table));
    }
    // Plans of one SQLite database have one owner; those of a shared one are spread over its gateways.
    for (let id = 0; id < (isSqlite ? 1 : 16); id += 1) {
      await runner.query(`INSERT INTO dynflow_shards (id, owner, epoch, expires_at) VALUES (${id}, NULL, 0, 0)`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of tables('integer').reverse()) {
      await runner.dropTable(table.name);
    }
  }
}

const text = (name: string): TableColumnOptions => ({ name, type: 'text' });
const integer = (name: string): TableColumnOptions => ({ name, type: 'integer' });
const double = (name: string): TableColumnOptions => ({ name, type: 'double precision' });
const boolean = (name: string): TableColumnOptions => ({ name, type: 'boolean' });
const nullable = (column: TableColumnOptions): TableColumnOptions => ({ ...column, isNullable: true });
const keyOf = (table: string, column: TableColumnOptions): TableColumnOptions => ({
  ...column,
  isPrimary: true,
  primaryKeyConstraintName: `${table}_pkey`,
});
const counter = (table: string, type: string): TableColumnOptions => ({
  ...keyOf(table, { name: 'number', type }),
  isGenerated: true,
  generationStrategy: 'increment',
});
const ofPlan = (name: string): NonNullable<TableOptions['foreignKeys']>[number] => ({
  name,
  columnNames: ['plan_id'],
  referencedTableName: 'dynflow_execution_plans',
  referencedColumnNames: ['id'],
  onDelete: 'CASCADE',
});

function tables(counterType: string): TableOptions[] {
  return [
    {
      name: 'dynflow_execution_plans',
      columns: [
        counter('dynflow_execution_plans', counterType),
        text('id'),
        integer('shard'),
        text('label'),
        text('state'),
        text('result'),
        text('run_flow'),
        text('finalize_flow'),
        text('phase'),
        integer('step_count'),
        text('history'),
        double('created_at'),
        nullable(double('started_at')),
        nullable(double('ended_at')),
        double('execution_time'),
        nullable(text('caller_plan')),
        nullable(integer('caller_action')),
        boolean('is_external'),
        nullable(integer('concurrency_limit')),
        boolean('is_cancel_requested'),
        nullable(text('sealed_secrets')),
        nullable(text('request')),
      ],
      indices: [
        { name: 'dynflow_execution_plans_id', columnNames: ['id'], isUnique: true },
        { name: 'dynflow_execution_plans_state', columnNames: ['state', 'number'] },
        { name: 'dynflow_execution_plans_ended_at', columnNames: ['ended_at'], where: 'ended_at IS NOT NULL' },
        { name: 'dynflow_execution_plans_started_at', columnNames: ['started_at'] },
        { name: 'dynflow_execution_plans_caller', columnNames: ['caller_plan'], where: 'caller_plan IS NOT NULL' },
      ],
    },
    {
      name: 'dynflow_actions',
      columns: [
        keyOf('dynflow_actions', text('plan_id')),
        keyOf('dynflow_actions', integer('id')),
        text('name'),
        integer('version'),
        integer('plan_step'),
        nullable(integer('run_step')),
        nullable(integer('finalize_step')),
        nullable(text('caller_plan')),
        nullable(integer('caller_action')),
        text('input'),
        text('output_references'),
        text('output'),
        nullable(text('chunks_as')),
      ],
      foreignKeys: [ofPlan('dynflow_actions_plan')],
    },
    {
      name: 'dynflow_steps',
      columns: [
        keyOf('dynflow_steps', text('plan_id')),
        keyOf('dynflow_steps', integer('id')),
        text('kind'),
        integer('action_id'),
        text('queue'),
        text('state'),
        integer('attempt'),
        nullable(text('executor')),
        nullable(text('waiting_for')),
        nullable(double('wake_at')),
        nullable(text('error')),
        nullable(double('started_at')),
        nullable(double('ended_at')),
        double('execution_time'),
        text('detail'),
      ],
      indices: [{ name: 'dynflow_steps_open', columnNames: ['state'], where: "state IN ('running', 'suspended')" }],
      foreignKeys: [ofPlan('dynflow_steps_plan')],
    },
    {
      name: 'dynflow_output_chunks',
      columns: [
        counter('dynflow_output_chunks', counterType),
        text('plan_id'),
        integer('action_id'),
        integer('seq'),
        text('kind'),
        double('timestamp'),
        text('chunk'),
        nullable(text('external_id')),
      ],
      indices: [{ name: 'dynflow_output_chunks_action', columnNames: ['plan_id', 'action_id'] }],
      foreignKeys: [ofPlan('dynflow_output_chunks_plan')],
    },
    {
      name: 'dynflow_documents',
      columns: [
        keyOf('dynflow_documents', text('plugin')),
        keyOf('dynflow_documents', text('collection')),
        keyOf('dynflow_documents', text('key')),
        nullable(text('index_word')),
        text('document'),
        integer('revision'),
      ],
      indices: [
        {
          name: 'dynflow_documents_index_word',
          columnNames: ['plugin', 'collection', 'index_word'],
          where: 'index_word IS NOT NULL',
        },
      ],
    },
    {
      name: 'dynflow_manifests',
      columns: [
        keyOf('dynflow_manifests', text('plugin')),
        keyOf('dynflow_manifests', text('plugin_version')),
        text('declaration'),
        double('kept_at'),
      ],
    },
    {
      name: 'dynflow_shards',
      columns: [keyOf('dynflow_shards', integer('id')), nullable(text('owner')), integer('epoch'), double('expires_at')],
    },
  ];
}
