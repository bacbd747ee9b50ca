import type { Changes } from '@dynflow/engine';
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
  chunkValues,
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
    name: 'new_actions',
    table: 'dynflow_actions',
    columns: ACTION_COLUMNS,
    valuesOf: ({ newActions }) => newActions.map(actionValues),
  },
  { name: 'new_steps', table: 'dynflow_steps', columns: STEP_COLUMNS, valuesOf: ({ newSteps }) => newSteps.map(stepValues) },
  {
    name: 'planned_plans',
    table: 'dynflow_execution_plans',
    columns: [...PLANNED_CHANGES, 'id'],
    key: ['id'],
    valuesOf: (changes) => splitPlans(changes).planned.map(plannedChangeValues),
  },
  {
    name: 'changed_plans',
    table: 'dynflow_execution_plans',
    columns: [...PLAN_CHANGES, 'id'],
    key: ['id'],
    valuesOf: (changes) => splitPlans(changes).changed.map(planChangeValues),
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

function splitPlans({ plans, newSteps }: Changes): { planned: Changes['plans']; changed: Changes['plans'] } {
  const withSteps = new Set(plans.length === 0 ? [] : newSteps.map(({ plan }) => plan));
  return { planned: plans.filter(({ id }) => withSteps.has(id)), changed: plans.filter(({ id }) => !withSteps.has(id)) };
}

function statement(present: readonly Part[]): string {
  let parameters = 0;
  const parts: string[] = [];
  const misses = ['0'];
  for (const { name, table, columns, key } of present) {
    const first = parameters + 1;
    const given = columns.map((column) => `$${(parameters += 1)}::${typeOf(table, column)}[]`).join(', ');
    const list = columns.join(', ');
    if (key === undefined) {
      // In the order given: the numbers that the database counts up are the order of creation.
      parts.push(
        `${name} AS (INSERT INTO ${table} (${list}) SELECT ${list} ` +
          `FROM unnest(${given}) WITH ORDINALITY AS given (${list}, place) ORDER BY place)`,
      );
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

function typeOf(table: string, column: string): string {
  if (INTEGERS.has(column) || (column === 'id' && table !== 'dynflow_execution_plans')) {
    return 'integer';
  }
  if (DOUBLES.has(column)) {
    return 'double precision';
  }
  return column.startsWith('is_') ? 'boolean' : 'text';
}
