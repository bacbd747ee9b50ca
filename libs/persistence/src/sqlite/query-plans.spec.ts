import { changes, planRow } from '@dynflow/testing/conformance';
import { expect, it } from 'vitest';
import { purgeFinished } from '../tables/purge.js';
import { connectSqlite } from './open-sqlite.js';
import { SqlitePlanReader } from './sqlite-plan-reader.js';
import { SqlitePlanStore } from './sqlite-plan-store.js';
import { sqliteSql } from './sqlite-sql.js';

it('reads and deletes by indexes, however many plans are kept', async () => {
  const { driver, close } = await connectSqlite(null, () => undefined);
  const statements = new Set<string>();
  const prepare = driver.prepare.bind(driver);
  driver.prepare = ((text: string) => {
    statements.add(text);
    return prepare(text);
  }) as typeof driver.prepare;
  const store = new SqlitePlanStore(driver);
  const reader = new SqlitePlanReader(driver);
  store.commit(changes({ newPlans: [planRow()] }));
  await reader.list({ limit: 10 });
  await reader.list({ state: 'stopped', limit: 10, after: 5 });
  await reader.list({ callerPlan: 'x', direction: 'ascending', limit: 10 });
  await reader.count('running');
  await purgeFinished(sqliteSql(driver), { olderThanMs: 0, limit: 10 });

  const isSlow = (text: string, detail: string): boolean => {
    // A list in the order of the table ends at its limit; a count of everything counts everything.
    const isWalk = /^SCAN (?!json_each|asked|page)/.test(detail) && !/ORDER BY plan.number \w+ LIMIT|count\(\*\)/.test(text);
    // What belongs to the plans that were asked for, and what is unfinished, is sorted after it was found.
    const isSort = detail.includes('TEMP B-TREE') && !/json_each|created_at|page|caller_plan = \?/.test(text);
    return isWalk || isSort;
  };
  const slow = [...statements].flatMap((text) =>
    prepare<[number[]], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`)
      .all([...text.matchAll(/\?/g)].map(() => 0))
      .filter(({ detail }) => isSlow(text, detail))
      .map(({ detail }) => `${detail}: ${text}`),
  );
  expect(slow).toEqual([]);
  expect(statements.size).toBeGreaterThan(20);
  await close();
});
