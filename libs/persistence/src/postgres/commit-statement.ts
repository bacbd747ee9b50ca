import type { ActionRow, Changes, PlanRow, StepRow } from '@dynflow/engine';
import {
  ACTION_CHANGES,
  ACTION_COLUMNS,
  CHUNK_COLUMNS,
  PLAN_CHANGES,
  PLAN_COLUMNS,
  PLANNED_CHANGES,
  STEP_CHANGES,
  STEP_COLUMNS,
  actionChangeValues,
  actionValues,
  attributeValues,
  chunkValues,
  dependencyValues,
  planChangeValues,
  plannedChangeValues,
  planValues,
  stepChangeValues,
  stepValues,
  type ColumnValue,
} from '../plans/row-values.js';

import type { HeldShard } from '../tables/shard-store.js';

/*
 * A turn's commit is one statement: one message to the server and one answer, and a transaction by itself. It has a part for each kind
 * of change that the turn made, and a part takes its rows as one array a column: so there are few such statements, however many rows
 * they write, and each is planned once.
 */

/** A column's values, one a row. */
export type ColumnArray = ColumnValue[];

interface Part {
  readonly name: string;
  readonly table: string;
  /** In the order of the values; the key of an update comes last. */
  readonly columns: readonly string[];
  /** Absent: rows are inserted. */
  readonly key?: readonly string[];
  /** Rows are inserted, and one with this key that is there already is written over. */
  readonly replaces?: readonly string[];
  /** Rows are inserted from this instead of from the values as they are given. */
  readonly source?: (given: string) => string;
  valuesOf(changes: Changes): ColumnValue[][];
}

const PARTS: readonly Part[] = [
  {
    name: 'new_plans',
    table: 'dynflow_execution_plans',
    columns: PLAN_COLUMNS,
    valuesOf: ({ newPlans }) => newPlans.map(planValues),
  },
  {
    name: 'new_attributes',
    table: 'dynflow_plan_attributes',
    columns: ['plan_number', 'name', 'value'],
    // The number is the one that its plan gets in the same statement.
    source: (given) =>
      `SELECT new_plans.number, given.name, given.value FROM unnest(${given}) AS given (plan_id, name, value) ` +
      'JOIN new_plans ON new_plans.id = given.plan_id',
    valuesOf: ({ newPlans }) => newPlans.flatMap((row) => attributeValues(row).map(([name, value]) => [row.id, name, value])),
  },
  {
    name: 'new_dependencies',
    table: 'dynflow_plan_dependencies',
    columns: ['plan_id', 'after_id'],
    valuesOf: ({ newPlans }) => newPlans.flatMap((row) => dependencyValues(row).map((after) => [row.id, after])),
  },
  {
    name: 'new_actions',
    table: 'dynflow_actions',
    columns: ACTION_COLUMNS,
    valuesOf: (changes) => splitByPlanned(changes, changes.newActions).others.map(actionValues),
  },
  {
    name: 'new_steps',
    table: 'dynflow_steps',
    columns: STEP_COLUMNS,
    valuesOf: (changes) => splitByPlanned(changes, changes.newSteps).others.map(stepValues),
  },
  // A plan that was stored before it was planned may have its root action and plan step already.
  {
    name: 'planned_actions',
    table: 'dynflow_actions',
    columns: ACTION_COLUMNS,
    replaces: ['plan_id', 'id'],
    valuesOf: (changes) => splitByPlanned(changes, changes.newActions).planned.map(actionValues),
  },
  {
    name: 'planned_steps',
    table: 'dynflow_steps',
    columns: STEP_COLUMNS,
    replaces: ['plan_id', 'id'],
    valuesOf: (changes) => splitByPlanned(changes, changes.newSteps).planned.map(stepValues),
  },
  {
    name: 'planned_plans',
    table: 'dynflow_execution_plans',
    columns: [...PLANNED_CHANGES, 'id'],
    key: ['id'],
    valuesOf: (changes) => splitByPlanned(changes, changes.plans).planned.map(plannedChangeValues),
  },
  {
    name: 'changed_plans',
    table: 'dynflow_execution_plans',
    columns: [...PLAN_CHANGES, 'id'],
    key: ['id'],
    valuesOf: (changes) => splitByPlanned(changes, changes.plans).others.map(planChangeValues),
  },
  {
    name: 'changed_actions',
    table: 'dynflow_actions',
    columns: [...ACTION_CHANGES, 'plan_id', 'id'],
    key: ['plan_id', 'id'],
    valuesOf: ({ actions }) => actions.map(actionChangeValues),
  },
  {
    name: 'changed_steps',
    table: 'dynflow_steps',
    columns: [...STEP_CHANGES, 'plan_id', 'id'],
    key: ['plan_id', 'id'],
    valuesOf: ({ steps }) => steps.map(stepChangeValues),
  },
  { name: 'new_chunks', table: 'dynflow_output_chunks', columns: CHUNK_COLUMNS, valuesOf: ({ chunks }) => chunks.map(chunkValues) },
];

const INTEGERS = new Set([
  'shard',
  'step_count',
  'caller_action',
  'concurrency_limit',
  'priority',
  'retries',
  'version',
  'plan_step',
  'run_step',
  'finalize_step',
  'action_id',
  'attempt',
  'seq',
]);
const DOUBLES = new Set(['created_at', 'started_at', 'ended_at', 'execution_time', 'wake_at', 'timestamp', 'progress']);

/** What the statement's failure says when a shard is somebody else's. */
export const SHARDS_LOST = 'shards are lost';

/** A prepared statement, by a name that means this text and no other, with its parameters. */
export interface CommitQuery {
  readonly name: string;
  readonly text: string;
  readonly values: ColumnArray[];
}

/** The texts that were needed so far, by the parts that they have. */
const texts = new Map<string, string>();

/** The statement that writes these changes. `held` are the shards that must still be the committer's. */
export function commitQuery(changes: Changes, held: readonly HeldShard[]): CommitQuery {
  const parts: Part[] = [];
  const values: ColumnArray[] = [];
  for (const part of PARTS) {
    const rows = part.valuesOf(changes);
    if (rows.length > 0) {
      parts.push(part);
      part.columns.forEach((_, index) => values.push(rows.map((row) => storable(row[index] ?? null))));
    }
  }
  const name = `dynflow-commit-${PARTS.map((part) => (parts.includes(part) ? '1' : '0')).join('')}`;
  const text = texts.get(name) ?? statement(parts);
  texts.set(name, text);
  values.push(
    held.map(({ id }) => id),
    held.map(({ epoch }) => epoch),
    held.map(({ owner }) => owner),
  );
  return { name, text, values };
}

/** PostgreSQL's text holds no NUL. Text that must be exact is stored as JSON, where it is escaped; what is left are words for people. */
export function storable(value: ColumnValue): ColumnValue {
  return typeof value === 'string' && value.includes('\u0000') ? value.replaceAll('\u0000', '\uFFFD') : value;
}

/** Tells rows of plans that get their steps in these changes, and were there before, from the others. */
function splitByPlanned<Row extends PlanRow | ActionRow | StepRow>(
  { plans, newSteps }: Changes,
  rows: readonly Row[],
): { planned: readonly Row[]; others: readonly Row[] } {
  const stored = new Set(plans.map(({ id }) => id));
  const planned = new Set(stored.size === 0 ? [] : newSteps.flatMap(({ plan }) => (stored.has(plan) ? plan : [])));
  if (planned.size === 0) {
    return { planned: [], others: rows };
  }
  const isPlanned = (row: Row): boolean => planned.has('plan' in row ? row.plan : row.id);
  return { planned: rows.filter(isPlanned), others: rows.filter((row) => !isPlanned(row)) };
}

function statement(present: readonly Part[]): string {
  let parameters = 0;
  const parts: string[] = [];
  const misses = ['0'];
  for (const { name, table, columns, key, replaces, source } of present) {
    const first = parameters + 1;
    const given = columns.map((column) => `$${(parameters += 1)}::${typeOf(table, column)}[]`).join(', ');
    const list = columns.join(', ');
    if (key === undefined) {
      // In the order given: the numbers that the database counts up are the order of creation.
      const rows = source?.(given) ?? `SELECT ${list} FROM unnest(${given}) WITH ORDINALITY AS given (${list}, place) ORDER BY place`;
      const otherwise = replaces === undefined ? '' : ` ON CONFLICT (${replaces.join(', ')}) DO UPDATE SET ${excluded(columns)}`;
      const returned = table === 'dynflow_execution_plans' ? ' RETURNING id, number' : '';
      parts.push(`${name} AS (INSERT INTO ${table} (${list}) ${rows}${otherwise}${returned})`);
    } else {
      const changes = columns.filter((column) => !key.includes(column)).map((column) => `${column} = given.${column}`);
      const match = key.map((column) => `stored.${column} = given.${column}`);
      parts.push(
        `${name} AS (UPDATE ${table} AS stored SET ${changes.join(', ')} FROM unnest(${given}) AS given (${list}) ` +
          `WHERE ${match.join(' AND ')} RETURNING 1)`,
      );
      misses.push(`cardinality($${first}) - (SELECT count(*) FROM ${name})`);
    }
  }
  const [id, epoch, owner] = [parameters + 1, parameters + 2, parameters + 3];
  // The share lock holds up who wants to take such a shard until this commit is done.
  parts.push(
    `held AS (SELECT shard.id FROM dynflow_shards AS shard JOIN unnest($${id}::integer[], $${epoch}::integer[], $${owner}::text[]) ` +
      'AS given (id, epoch, owner) USING (id, epoch, owner) FOR SHARE OF shard)',
    `missing AS (SELECT ${misses.join(' + ')} AS rows, cardinality($${id}) - (SELECT count(*) FROM held) AS shards)`,
  );
  // Words cannot become a number: the cast fails, with them in its message, and takes the whole statement back. (Of a constant it would
  // fail when the statement is read.)
  return (
    `WITH ${parts.join(',\n')}\nSELECT CASE WHEN shards > 0 THEN CAST(shards || ' ${SHARDS_LOST}' AS integer) ` +
    "WHEN rows > 0 THEN CAST(rows || ' rows to be changed are not in the database' AS integer) ELSE 0 END FROM missing"
  );
}

function excluded(columns: readonly string[]): string {
  return columns.map((column) => `${column} = excluded.${column}`).join(', ');
}

function typeOf(table: string, column: string): string {
  if (INTEGERS.has(column) || (column === 'id' && table !== 'dynflow_execution_plans')) {
    return 'integer';
  }
  if (DOUBLES.has(column)) {
    return 'double precision';
  }
  return column.startsWith('is_') ? 'boolean' : 'text';
}
