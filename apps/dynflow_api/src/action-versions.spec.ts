import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RestedPlan } from '@dynflow/engine';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { definePlugin, type ActionDefinition, type Plugin } from '@dynflow/plugin';
import { z } from 'zod';
import { startCore, type GatewayCore } from './gateway-core.js';

let folder: string;
let core: GatewayCore | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'versions-'));
});
afterEach(async () => {
  await core?.stop();
  core = undefined;
  await rm(folder, { recursive: true });
});

const greet = (version: number): ActionDefinition => ({
  name: 'Greet',
  version,
  input: z.looseObject({}),
  run: async () => Promise.resolve({ version }),
});
const example = (...versions: number[]): Plugin =>
  definePlugin({
    name: 'example',
    version: `${Math.max(...versions)}.0.0`,
    settings: { section: 'example', schema: z.object({}) },
    actions: versions.map(greet),
  });

const rested = new Map<string, (plan: RestedPlan) => void>();

async function restart(plugin: Plugin): Promise<GatewayCore> {
  await core?.stop();
  const { config } = await loadGatewayConfig({
    env: { DYNFLOW_PLUGINS: '', DYNFLOW_DATABASE_URL: `sqlite:${join(folder, 'plans.db')}` },
    loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
  });
  const log = createLog({ level: 'silent', format: 'json' });
  core = await startCore({ config, plugins: [{ plugin, settings: {} }], log, onRest: (plan) => rested.get(plan.id)?.(plan) });
  return core;
}

it('a plan goes on under the version that it was made under, waits while nobody has it, and new ones take the newest', async () => {
  const first = await restart(example(1));
  await first.service.hold({ reason: 'upgrade' });
  const { plan: old } = await first.service.trigger({ action: 'example.Greet', input: {} });

  const second = await restart(example(2));
  expect(second.holds()).toEqual({ newWork: 'upgrade', plans: 1 });
  await second.service.release();
  const [waiting] = await second.service.plans([old]);
  expect(waiting?.steps[1]).toMatchObject({ state: 'pending', waitingFor: 'an executor that serves example.Greet version 1 (served: 2)' });
  const fresh = 'fb7f3cd8-2c31-4a4a-9a0f-0d40c9a1d5f1';
  const freshRested = new Promise<RestedPlan>((resolve) => void rested.set(fresh, resolve));
  await second.service.trigger({ id: fresh, action: 'example.Greet', input: {} });
  expect(await freshRested).toMatchObject({ result: 'success' });
  expect((await second.service.plans([fresh]))[0]?.actions[0]?.output).toEqual({ version: 2 });

  const oldRested = new Promise<RestedPlan>((resolve) => void rested.set(old, resolve));
  const third = await restart(example(1, 2));
  expect(await oldRested).toMatchObject({ result: 'success' });
  expect((await third.service.plans([old]))[0]?.actions[0]?.output).toEqual({ version: 1 });
});
