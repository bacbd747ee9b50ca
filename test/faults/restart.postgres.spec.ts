import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { runCampaign } from './campaign.js';
import { spread } from './choose.js';
import { postgresDatabases } from './databases.js';
import { faultsOf, tableOf } from './report.js';

/** All points are killed at on files; here it is the difference that counts: commits take their time, and other things happen meanwhile. */
const KILLS = 12;

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

it(
  'a service that is killed while its plans are in PostgreSQL is followed by one that brings each to a stated end',
  { timeout: 300_000 },
  async () => {
    const choose: Parameters<typeof runCampaign>[0]['choose'] = (points) =>
      spread(
        KILLS,
        points.filter(({ call }) => call === 'Database.plans.commit' || call.startsWith('MessageBus.')),
      );
    const campaign = await runCampaign({ databases: await postgresDatabases(server), choose, atOnce: 2 });
    process.stdout.write(`${tableOf(campaign)}\n`);
    expect(faultsOf(campaign)).toEqual([]);
    expect(campaign.kills.filter(({ isReached }) => isReached).length).toBeGreaterThan(KILLS / 2);
  },
);
