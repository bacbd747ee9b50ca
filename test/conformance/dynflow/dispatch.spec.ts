import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonValue } from '@dynflow/kernel';
import { defineAction, definePlugin, suspend } from '@dynflow/plugin';
import { EngineWorld, done, suspended } from '@dynflow/testing/engine';
import { z } from 'zod';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';
import { present } from './stories.js';

const example = definePlugin({
  name: 'example',
  version: '1.0.0',
  settings: { section: 'example', schema: z.object({}) },
  actions: [
    defineAction({
      name: 'Greet',
      input: z.object({ name: z.string() }),
      run: (context) => Promise.resolve({ greeting: `Hello, ${context.input.name}` }),
    }),
    defineAction({
      name: 'Await',
      input: z.object({}),
      run: (context) => {
        const got: JsonValue[] = [];
        context.onEvent((data) => void got.push(data));
        return Promise.resolve(got.length > 0 ? { got } : suspend({ checkpoint: null, waitingFor: 'a word' }));
      },
    }),
  ],
});

describe('over the bus, with an executor', () => {
  let lab: GatewayLab;
  beforeAll(async () => {
    lab = await startGatewayLab({}, { plugins: [example] });
  });
  afterAll(() => lab.core.stop());

  it('DI1: what is triggered ends in success', async () => {
    const { plan } = await lab.core.service.trigger({ action: 'example.Greet', input: { name: 'Ada' } });
    expect(await lab.rested(plan)).toMatchObject({ state: 'stopped', result: 'success' });
    const [view] = await lab.core.service.plans([plan]);
    expect(present(view).actions[0]?.output).toMatchObject({ greeting: 'Hello, Ada' });
  });

  it('DI2: an event reaches the step that waits for it, with its value', async () => {
    const { plan } = await lab.core.service.trigger({ action: 'example.Await', input: {} });
    const isSuspended = async (): Promise<boolean> =>
      present((await lab.core.service.plans([plan]))[0]).steps.some(({ state }) => state === 'suspended');
    while (!(await isSuspended())) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await lab.core.service.sendEvent(plan, 2, { word: 'go on' });
    expect(await lab.rested(plan)).toMatchObject({ state: 'stopped', result: 'success' });
    const [view] = await lab.core.service.plans([plan]);
    expect(present(view).actions[0]?.output).toMatchObject({ got: [{ word: 'go on' }] });
  });
});

describe('asked of an engine', () => {
  it('DI3: an event for a step that takes none is refused', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    expect(await world.ask((engine) => engine.sendEvent(plan, 2, {}))).toBe(false);
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'pending', detail: {} });
  });

  it('DI4: a running action triggers another plan and waits for it', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    world.actions.local('gw.Caller', ({ event }) => {
      if (event?.kind === 'subPlans' && event.counts.pending === 0) {
        return done({ succeeded: event.counts.success });
      }
      return suspended(
        event === undefined ? { commands: [{ kind: 'spawn', children: [{ id: 'other', action: 'demo.A', input: {} }] }] } : {},
      );
    });
    const caller = await world.trigger('gw.Caller');
    expect(world.plan(caller).step(2).state).toBe('suspended');
    await world.runAll();
    expect(world.plan('other').row).toMatchObject({ state: 'stopped', callerPlan: caller });
    expect(world.plan(caller).output()).toEqual({ succeeded: 1 });
  });

  it('DI5: an event for a plan that nobody knows is refused quietly', async () => {
    const world = new EngineWorld();
    expect(await world.ask((engine) => engine.sendEvent('nobody', 2, {}))).toBe(false);
    expect(world.faults).toEqual([]);
    expect(world.store.commits).toEqual([]);
  });

  it('DI13: with no executor left, who triggers is told what it waits for, and it waits', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    expect(world.plan(plan).state).toBe('running');
    expect(world.plan(plan).step(2).waitingFor).toBe('an executor of demo with a free slot');
  });
});

describe('processes', () => {
  it('BA1: with one gateway and one executor, all that is asked for is done', async () => {
    const lab = await startGatewayLab({}, { plugins: [example] });
    const plans = await Promise.all(
      ['Ada', 'Grace', 'Edith'].map((name) => lab.core.service.trigger({ action: 'example.Greet', input: { name } })),
    );
    const rested = await Promise.all(plans.map(({ plan }) => lab.rested(plan)));
    await lab.core.stop();
    expect(rested.map(({ state, result }) => `${state}/${result}`)).toEqual(['stopped/success', 'stopped/success', 'stopped/success']);
  });

  it('BA3: two gateways with databases of their own both work, each for itself', async () => {
    const labs = await Promise.all([startGatewayLab(), startGatewayLab()]);
    const plans = await Promise.all(
      labs.map(async ({ core, rested }) => rested((await core.service.trigger({ action: 'dynflow_api.Noop', input: {} })).plan)),
    );
    const seen = await Promise.all(labs.map(async ({ core }) => (await core.service.plans(plans.map(({ id }) => id))).map(({ id }) => id)));
    await Promise.all(labs.map(({ core }) => core.stop()));
    expect(plans.map(({ result }) => result)).toEqual(['success', 'success']);
    expect(seen).toEqual(plans.map(({ id }) => [id]));
  });
});
