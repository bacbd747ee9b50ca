import type { PlanQuery } from '@dynflow/contracts';
import { openDatabase, type PlanReader } from '@dynflow/persistence';
import { Lab } from '../lab.js';
import { latencyOf, round, type Figures } from '../measurement.js';
import type { Scenario } from '../scenario.js';
import { EVERY_MS, HOSTS, LABELS, fillPostgres, fillSqlite } from './fill-plans.js';

const PLANS = 1_000_000;
const PAGE = 50;
const PAGES = 200;
const WARM_UP = 20;

/** The pages that people look at, each anew for each `index`. `firstMs` is when the first plan was made. */
const QUERIES: Record<string, (index: number, firstMs: number) => Omit<PlanQuery, 'limit'>> = {
  newest: (index) => ({ after: PLANS - index * PAGE }),
  'by-state': (index) => ({ state: 'paused', after: PLANS - index * 1_000 }),
  'by-state-and-time': (index, firstMs) => {
    const startedFromMs = firstMs + index * 4_000 * EVERY_MS;
    return { state: 'stopped', startedFromMs, startedToMs: startedFromMs + 60_000, orderBy: 'startedAt', direction: 'ascending' };
  },
  'last-failed': (index) => ({ result: 'error', orderBy: 'startedAt', after: PLANS - index * 1_000 }),
  'by-label': (index) => ({ label: `bench.Label${index % LABELS}` }),
  'by-host': (index) => ({ attributes: { host: `host${(index * 7) % HOSTS}.example.com` } }),
};

/** A page out of very many stored plans. */
export const listing: Scenario = {
  name: 'listing',
  summary: `a page of ${PAGE} out of ${PLANS} stored plans, by state, time, result, label and host`,
  databases: ['sqlite-file', 'postgres'],
  measure: async (place) => {
    const { databaseUrl: url } = place;
    // A plan that is really run is what the others are copied from.
    const lab = await Lab.start(place);
    await lab.run('bench.Three');
    await lab.stop();
    await (url.startsWith('sqlite:') ? fillSqlite(url.slice('sqlite:'.length), PLANS) : fillPostgres(url, PLANS));
    const database = await openDatabase({ url });
    const rows: Figures[] = [];
    for (const [name, queryOf] of Object.entries(QUERIES)) {
      rows.push({ scenario: `listing-${name}`, ...(await pages(database.reader, queryOf)) });
    }
    await database.close();
    return rows;
  },
};

async function pages(reader: PlanReader, queryOf: (typeof QUERIES)[string]): Promise<Omit<Figures, 'scenario'>> {
  const [first] = await reader.list({ direction: 'ascending', limit: 1 });
  const samples: number[] = [];
  const beganMs = performance.now();
  for (let index = -WARM_UP; index < PAGES; index += 1) {
    const startedMs = performance.now();
    const page = await reader.list({ ...queryOf(Math.abs(index), first?.createdAtMs ?? 0), limit: PAGE });
    if (page.length !== PAGE) {
      throw new Error(`a page of ${PAGE} plans was asked for, and ${page.length} came`);
    }
    if (index >= 0) {
      samples.push(performance.now() - startedMs);
    }
  }
  return { ...latencyOf(samples), seconds: round((performance.now() - beganMs) / 1_000, 2) };
}
