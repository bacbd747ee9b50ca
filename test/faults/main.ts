// By hand: node libs/testing/src/process/run-source.mjs test/faults/main.ts [--every 1] [--call MessageBus] [--at-once 2] [--keep]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nameOfPoint } from '@dynflow/testing/faults';
import { runCampaign } from './campaign.js';
import { aroundWritesAndEvery } from './choose.js';
import { sqliteFiles } from './databases.js';
import { faultsOf, tableOf } from './report.js';

/** Kills at each n-th point, at all of them by default; or only at those of calls with this in their name. */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      every: { type: 'string', default: '1' },
      call: { type: 'string', default: '' },
      'at-once': { type: 'string', default: '2' },
      keep: { type: 'boolean', default: false },
    },
  });
  const directory = mkdtempSync(join(tmpdir(), 'dynflow-faults-template-'));
  try {
    const choose = aroundWritesAndEvery(Number(values.every));
    const startedAt = performance.now();
    const campaign = await runCampaign({
      databases: await sqliteFiles(directory),
      choose: (points) => choose(points).filter(({ call }) => call.includes(values.call)),
      atOnce: Number(values['at-once']),
      keeps: values.keep,
      onKill: ({ point, complaints }) =>
        process.stdout.write(complaints.length === 0 ? '.' : `\n${nameOfPoint(point)}: ${complaints.join('; ')}\n`),
    });
    const faults = faultsOf(campaign);
    process.stdout.write(`\n${tableOf(campaign)}\n${Math.round((performance.now() - startedAt) / 1000)} s\n${faults.length} faults\n`);
    process.exitCode = faults.length > 0 ? 1 : 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
