import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What plans got after release 0.1: schedule, priority, attributes, holds, progress. Only additions, each with a default, so that a
 * gateway of the release before goes on writing to the same tables.
 */
export class PlanControl implements MigrationInterface {
  readonly name = 'PlanControl1795392000000';

  async up(runner: QueryRunner): Promise<void> {
    const no = runner.dataSource.options.type === 'better-sqlite3' ? '0' : 'false';
    for (const [table, column] of COLUMNS) {
      await runner.query(`ALTER TABLE ${table} ADD COLUMN ${column.replace('DEFAULT false', `DEFAULT ${no}`)}`);
    }
    await runner.query(
      'CREATE UNIQUE INDEX "dynflow_execution_plans_idempotency_key" ON "dynflow_execution_plans" ("idempotency_key") ' +
        'WHERE idempotency_key IS NOT NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX "dynflow_execution_plans_idempotency_key"');
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
  ['dynflow_steps', '"progress" double precision NOT NULL DEFAULT 0'],
  ['dynflow_steps', '"retries" integer NOT NULL DEFAULT 0'],
];
