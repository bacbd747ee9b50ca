import type { PlanFilter, PlanQuery } from '@dynflow/contracts';
import { changes, planRow } from '@dynflow/testing/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PlanDeletion } from '../tables/plan-deletion.js';
import { connectSqlite, type SqliteConnection } from './open-sqlite.js';
import { SqlitePlanReader } from './sqlite-plan-reader.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';
import { sqliteSql } from './sqlite-sql.js';

/** Filters that are taken to leave very many plans. */
const MANY = -1;

let connection: SqliteConnection;
let statements: Set<string>;
let explain: (text: string) => string[];

beforeEach(async () => {
  connection = await connectSqlite(null, () => undefined);
  statements = new Set();
  const { driver } = connection;
  const prepare = driver.prepare.bind(driver);
  driver.prepare = ((text: string) => {
    statements.add(text);
    return prepare(text);
  }) as typeof driver.prepare;
  explain = (text) =>
    prepare<[number[]], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`)
      .all([...text.matchAll(/\?/g)].map(() => 0))
      .map(({ detail }) => detail);
});
afterEach(async () => {
  await connection.close();
});

it('writes, loads and deletes by indexes, however many plans are kept', async () => {
  const { driver } = connection;
  const store = new SqlitePlanStore(driver);
  const reader = new SqlitePlanReader(driver);
  store.commit(changes({ newPlans: [planRow()] }));
  await reader.count('running');
  await reader.plans(['x']);
  store.commit(changes({ newPlans: [planRow({ state: 'stopped', endedAtMs: 1 })] }));
  const deletion = new PlanDeletion(sqliteSql(driver), reader, null);
  expect(await deletion.purgeFinished({ olderThanMs: 2, keep: 5, limit: 10 })).toBe(1);

  const isSlow = (text: string, detail: string): boolean => {
    const isWalk = /^SCAN (?!json_each|asked)/.test(detail);
    // What belongs to the plans that were asked for, and what is unfinished, is sorted after it was found.
    const isSort = detail.includes('TEMP B-TREE') && !/json_each|created_at|caller_plan = \?/.test(text);
    return isWalk || isSort;
  };
  const slow = [...statements].flatMap((text) =>
    explain(text)
      .filter((detail) => isSlow(text, detail))
      .map((detail) => `${detail}: ${text}`),
  );
  expect(slow).toEqual([]);
  expect(statements.size).toBeGreaterThan(20);
});

const [stopped, label] = [{ state: 'stopped' }, { label: 'a' }];
const range = { startedFromMs: 1, startedToMs: 2 };

/** A page of very many plans, and how the plans on it are found: in their order, as far as the page goes. */
const PAGES: [query: Omit<PlanQuery, 'limit'>, found: string][] = [
  [{}, 'SCAN plan'],
  [{ after: 9 }, 'INTEGER PRIMARY KEY (rowid<?)'],
  [stopped, '_state (state=?)'],
  [{ ...stopped, after: 9 }, '_state (state=? AND number<?)'],
  [{ state: ['stopped', 'paused'], after: 9 }, '_state (state=? AND number<?)'],
  [{ ...stopped, orderBy: 'startedAt' }, '_state_started_at (state=? AND started_at>?)'],
  [{ ...stopped, orderBy: 'startedAt', after: 1 }, '_state_started_at (state=? AND started_at>? AND started_at<?)'],
  [{ ...stopped, ...range }, '_state_started_at (state=? AND started_at>? AND started_at<?)'],
  [{ ...stopped, direction: 'ascending', ...range }, '_state_started_at (state=? AND started_at>? AND started_at<?)'],
  [{ ...stopped, endedFromMs: 1 }, '_ended_at (ended_at>?)'],
  [{ ...stopped, orderBy: 'endedAt' }, '_ended_at (ended_at>?)'],
  [range, '_started_at (started_at>? AND started_at<?)'],
  [{ createdToMs: 2 }, '_created_at (created_at<?)'],
  [{ ...stopped, createdToMs: 2 }, '_created_at (created_at<?)'],
  [label, '_label (label=?)'],
  [{ ...label, ...stopped, after: 9 }, '_label (label=? AND number<?)'],
  [{ ...label, ...range }, '_label_started_at (label=? AND started_at>? AND started_at<?)'],
  [{ ...label, orderBy: 'endedAt' }, '_ended_at (ended_at>?)'],
  [{ result: 'error', after: 9 }, '_result (result=? AND number<?)'],
  [{ result: ['error', 'warning'], ...stopped }, '_result (result=?)'],
  [{ result: 'error', ...range }, '_result_started_at (result=? AND started_at>? AND started_at<?)'],
  [{ attributes: { host: 'a' }, after: 9 }, 'dynflow_plan_attributes_value (name=? AND value=? AND plan_number<?)'],
  [{ attributes: { host: ['a', 'b'] }, ...stopped }, 'dynflow_plan_attributes_value (name=? AND value=?)'],
  [{ attributes: { host: 'a' }, orderBy: 'startedAt' }, '_started_at (started_at>?)'],
  [{ orderBy: 'label' }, 'INDEX dynflow_execution_plans_label'],
  [{ orderBy: 'state' }, 'INDEX dynflow_execution_plans_state'],
];

describe('a page of very many plans is read along an index', () => {
  it.each(PAGES)('%j: %s', async (query, found) => {
    const { driver } = connection;
    new SqlitePlanStore(driver).commit(changes({ newPlans: [planRow(), planRow()] }));
    const reader = new SqlitePlanReader(driver, MANY);
    statements.clear();
    await reader.list({ ...query, limit: 1 });

    const pages = [...statements].filter((text) => text.startsWith('WITH page')).map(explain);
    const [page = []] = pages;
    const access = page.filter((detail) => /^(SCAN|SEARCH) (plan|found)/.test(detail));
    // The last one fetches what is shown of the plans on the page.
    expect(access.pop()).toBe('SEARCH plan USING INTEGER PRIMARY KEY (rowid=?)');
    expect(access[0]).toContain(found);
    // Nothing is sorted but the page itself, and the rows that are merged into it.
    const isMerged = page.some((detail) => detail.startsWith('MERGE'));
    expect(page.filter((detail) => detail.includes('TEMP B-TREE FOR ORDER BY'))).toHaveLength(isMerged ? 2 : 0);
  });
});

describe('counts are read from indexes', () => {
  it.each<[filter: PlanFilter, found: string]>([
    [{}, 'SCAN plan USING COVERING INDEX dynflow_execution_plans_state_result'],
    [stopped, 'SEARCH plan USING COVERING INDEX dynflow_execution_plans_state_result (state=?)'],
    [label, '_label'],
    [range, '_started_at (started_at>? AND started_at<?)'],
    [{ attributes: { host: 'a' } }, 'dynflow_plan_attributes_value (name=? AND value=?)'],
    [{ result: 'error' }, '_result'],
  ])('%j: %s', async (filter, found) => {
    const reader = new SqlitePlanReader(connection.driver);
    statements.clear();
    await reader.counts(filter);
    expect([...statements]).toHaveLength(1);
    expect(explain([...statements][0] ?? '').find((detail) => /^(SCAN|SEARCH)/.test(detail))).toContain(found);
  });
});
