import type { MigrationInterface } from 'typeorm';
import { CreateTables } from './create-tables.js';
import { PlanControl } from './plan-control.js';

/** Every migration, oldest first. One that was released is never changed: a new one follows it. */
export const migrations: (new () => MigrationInterface)[] = [CreateTables, PlanControl];

/** Where TypeORM notes which of them have run. */
export const MIGRATIONS_TABLE = 'dynflow_migrations';
