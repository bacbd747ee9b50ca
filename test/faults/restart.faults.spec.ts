import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCampaign } from './campaign.js';
import { aroundWritesAndEvery, someCommits, spread } from './choose.js';
import { sqliteFiles } from './databases.js';
import { faultsOf, tableOf } from './report.js';
import type { MetPoint } from './victim.js';

/** Beside the points around each write. By hand (`npm run faults`) it is every point, which takes some minutes. */
const EVERY = 80;
/** How many successors are killed in turn, and at how many points each. */
const SUCCESSORS = 2;
const SECOND_KILLS = 12;

it('a service that is killed at any point of its plans is followed by one that brings each plan to a stated end', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dynflow-faults-template-'));
  try {
    const again = {
      first: someCommits(SUCCESSORS),
      second: (points: readonly MetPoint[]) => spread(SECOND_KILLS, aroundWritesAndEvery(EVERY)(points)),
    };
    const campaign = await runCampaign({ databases: await sqliteFiles(directory), choose: aroundWritesAndEvery(EVERY), again, atOnce: 2 });
    process.stdout.write(`${tableOf(campaign)}\n`);
    expect(faultsOf(campaign)).toEqual([]);
    const { points, kills } = campaign;
    expect(points.length).toBeGreaterThan(500);
    expect(kills.filter(({ isReached }) => isReached).length).toBeGreaterThan(120);
    // What happens at the same time has no fixed order, so that a run may have a call less than another.
    expect(kills.filter(({ isReached }) => !isReached).length).toBeLessThan(kills.length / 20);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
