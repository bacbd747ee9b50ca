// `npm run faults -- [--every 1] [--call MessageBus] [--again 3] [--at-once 2] [--keep]`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { CallPoint } from '@dynflow/testing/faults';
import { runCampaign } from './campaign.js';
import { aroundWritesAndEvery, someCommits } from './choose.js';
import { sqliteFiles } from './databases.js';
import { faultsOf, nameOfKill, tableOf } from './report.js';
import type { MetPoint } from './victim.js';

/**
 * Kills at each n-th point, at all of them by default; or only at those of calls with this in their name. The successors of so many as
 * `again` says are killed, too, in the same way.
 */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      every: { type: 'string', default: '1' },
      call: { type: 'string', default: '' },
      again: { type: 'string', default: '3' },
      'at-once': { type: 'string', default: '2' },
      keep: { type: 'boolean', default: false },
    },
  });
  const directory = mkdtempSync(join(tmpdir(), 'dynflow-faults-template-'));
  try {
    const every = aroundWritesAndEvery(Number(values.every));
    const choose = (points: readonly MetPoint[]): readonly CallPoint[] => every(points).filter(({ call }) => call.includes(values.call));
    const startedAt = performance.now();
    const campaign = await runCampaign({
      databases: await sqliteFiles(directory),
      choose,
      again: { first: someCommits(Number(values.again)), second: choose },
      atOnce: Number(values['at-once']),
      keeps: values.keep,
      onKill: (kill) => process.stdout.write(kill.complaints.length === 0 ? '.' : `\n${nameOfKill(kill)}: ${kill.complaints.join('; ')}\n`),
    });
    const faults = faultsOf(campaign);
    process.stdout.write(`\n${tableOf(campaign)}\n${Math.round((performance.now() - startedAt) / 1000)} s\n${faults.length} faults\n`);
    process.exitCode = faults.length > 0 ? 1 : 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
