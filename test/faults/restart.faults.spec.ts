import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCampaign } from './campaign.js';
import { aroundWritesAndEvery } from './choose.js';
import { sqliteFiles } from './databases.js';
import { faultsOf, tableOf } from './report.js';

/** Beside the points around each write: every point, killed at by hand, takes some minutes (`npm run faults`). */
const EVERY = 20;

it('a service that is killed at any point of its plans is followed by one that brings each plan to a stated end', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dynflow-faults-template-'));
  try {
    const campaign = await runCampaign({ databases: await sqliteFiles(directory), choose: aroundWritesAndEvery(EVERY), atOnce: 2 });
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
