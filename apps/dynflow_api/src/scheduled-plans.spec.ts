import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RestedPlan } from '@dynflow/engine';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { defineAction, definePlugin } from '@dynflow/plugin';
import { z } from 'zod';
import { startCore, type GatewayCore } from './gateway-core.js';

/* Plans that begin later, by the machine's clock, on a real database and a real executor. */

const RELAY = 'dynflow_api.Relay';

const delayed = definePlugin({
  name: 'delayed',
  version: '1.0.0',
  settings: { section: 'delayed', schema: z.object({}) },
  actions: [
    defineAction({
      name: 'Greet',
      input: z.object({ name: z.string() }),
      delay: ({ name }) => {
        if (name === '') {
          throw new Error('nobody to greet');
        }
        return { name: name.toUpperCase() };
      },
      run: (context) => Promise.resolve({ greeting: `hello ${context.input.name}` }),
    }),
  ],
});

const rested = new Map<string, RestedPlan>();
let onRest: () => void = () => undefined;
let core: GatewayCore;

beforeEach(async () => {
  rested.clear();
  const { config } = await loadGatewayConfig({
    env: { DYNFLOW_PLUGINS: '', DYNFLOW_LOG_LEVEL: 'silent' },
    loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
  });
  core = await startCore({
    config,
    plugins: [{ plugin: delayed, settings: {} }],
    log: createLog({ level: 'silent', format: 'json' }),
    onRest: (plan) => {
      rested.set(plan.id, plan);
      onRest();
    },
  });
});

afterEach(() => core.stop());

/** The result of a plan, when it has stopped. */
async function resultOf(plan: string): Promise<string | undefined> {
  while (!rested.has(plan)) {
    await new Promise<void>((resolve) => (onRest = resolve));
  }
  return rested.get(plan)?.result;
}

it('begins plans at their time, after others, and when they are unfrozen; ends those that are halted', async () => {
  const { service } = core;
  const input = { value: 1 };
  const { plan: frozen } = await service.trigger({ action: RELAY, input, schedule: { isFrozen: true } });
  const { plan: after } = await service.trigger({ action: RELAY, input, schedule: { after: [frozen] } });
  const { plan: timed } = await service.trigger({ action: RELAY, input, schedule: { startAtMs: Date.now() + 100 } });
  const { plan: late } = await service.trigger({ action: RELAY, input, schedule: { startBeforeMs: Date.now() + 100, isFrozen: true } });
  const { plan: halted } = await service.trigger({ action: RELAY, input, schedule: { isFrozen: true } });
  const [view] = await service.plans([after]);
  expect(view).toMatchObject({
    state: 'scheduled',
    waitingFor: `plan ${frozen}`,
    progress: 0,
    steps: [{ kind: 'plan', state: 'pending' }],
  });

  await service.setFrozen(frozen, false);
  await service.halt(halted);

  expect([await resultOf(frozen), await resultOf(after), await resultOf(timed)]).toEqual(['success', 'success', 'success']);
  expect([await resultOf(late), await resultOf(halted)]).toEqual(['error', 'halted']);
  const [done] = await service.plans([timed]);
  expect(done?.history.map(({ name }) => name)).toEqual(['delay', 'start execution', 'finish execution']);
  expect(done?.actions.length).toBeGreaterThan(1);
});

it('has an executor asked before it schedules a plan, and tells the caller of its refusal', async () => {
  const { service } = core;
  const schedule = { startAtMs: Date.now() + 100 };
  const { plan } = await service.trigger({ action: 'delayed.Greet', input: { name: 'ada' }, schedule });
  const refused = await service.trigger({ action: 'delayed.Greet', input: { name: '' }, schedule });

  expect(refused.error?.message).toBe('nobody to greet');
  expect(await resultOf(plan)).toBe('success');
  const [view] = await service.plans([plan]);
  expect(view?.actions[0]?.output).toEqual({ greeting: 'hello ADA' });
});

it('launches once for one key', async () => {
  const { service } = core;
  const launch = async (value: number): ReturnType<typeof service.trigger> =>
    service.trigger({ action: RELAY, input: { value }, idempotencyKey: 'once' });
  const [first, second] = await Promise.all([launch(1), launch(1)]);

  expect([first, second]).toEqual([
    { plan: first.plan, created: true },
    { plan: first.plan, created: false },
  ]);
  await expect(launch(2)).rejects.toMatchObject({ code: 'DYN_IDEMPOTENCY_CONFLICT' });
});
