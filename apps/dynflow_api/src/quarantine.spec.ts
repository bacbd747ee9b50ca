import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RestedPlan } from '@dynflow/engine';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { startCore, type GatewayCore } from './gateway-core.js';

let folder: string;
let core: GatewayCore | undefined;
let lines: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quarantine-'));
  lines = [];
});
afterEach(async () => {
  await core?.stop();
  core = undefined;
  await rm(folder, { recursive: true });
});

async function start(onRest: (plan: RestedPlan) => void = () => undefined): Promise<GatewayCore> {
  const { config } = await loadGatewayConfig({
    env: { DYNFLOW_PLUGINS: '', DYNFLOW_DATABASE_URL: `sqlite:${join(folder, 'plans.db')}` },
    loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
  });
  const log = createLog({ level: 'info', format: 'json', sink: { write: (line) => void lines.push(line) } });
  core = await startCore({ config, plugins: [], log, onRest });
  return core;
}

async function stop(): Promise<void> {
  await core?.stop();
  core = undefined;
}

/** A plan that is over when somebody has looked after the gateway for so long. */
const sleep = { action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } };

describe('a gateway on a backup that was restored', () => {
  it('goes on with nothing until it is told to, and says so', async () => {
    const plan = (await (await start()).service.trigger(sleep)).plan;
    await stop();
    const [database, backup] = [join(folder, 'plans.db'), join(folder, 'backup.db')];
    await copyFile(database, backup);
    // The service goes on after the backup was made.
    expect((await start()).holds()).toEqual({ newWork: null, plans: 0 });
    await stop();
    await copyFile(backup, database);

    const restored = await start();

    expect(restored.holds()).toEqual({ newWork: null, plans: 1 });
    const [view] = await restored.service.plans([plan]);
    expect(view?.waitingFor).toMatch(/^operator: quarantine: the database is of .*: a backup was restored$/);
    expect(lines.some((line) => line.includes('QUARANTINE') && line.includes('"plans":1'))).toBe(true);

    await stop();
    expect((await start()).holds().plans).toBe(1);
    expect(await core!.service.release()).toBe(1);
    const [released] = await core!.service.plans([plan]);
    expect(released).toMatchObject({ state: 'running', waitingFor: null });
    await core!.service.cancel(plan);
  });

  it('starts new work all the same', async () => {
    await (await start()).service.trigger(sleep);
    await stop();
    await copyFile(join(folder, 'plans.db'), join(folder, 'backup.db'));
    await start();
    await stop();
    await copyFile(join(folder, 'backup.db'), join(folder, 'plans.db'));
    const over = new Promise<RestedPlan>((resolve) => {
      void start(resolve).then((gateway) => gateway.service.trigger({ action: 'dynflow_api.Noop', input: {} }));
    });
    expect(await over).toMatchObject({ result: 'success' });
  });
});
