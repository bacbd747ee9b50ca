import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineWorld } from '@dynflow/testing/engine';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';

const NOBODY = '00000000-0000-4000-8000-00000000dead';

/** The code of what was thrown, or what was answered. */
async function outcome(asked: Promise<unknown>): Promise<unknown> {
  return asked.then(
    (value) => value ?? 'done',
    (error: unknown) => (error as { code?: string }).code,
  );
}

describe('what people ask of a gateway', () => {
  let lab: GatewayLab;
  beforeAll(async () => {
    lab = await startGatewayLab();
  });
  afterAll(() => lab.core.stop());

  it('N12: is done where it fits, and refused in words where it does not', async () => {
    const { service } = lab.core;
    const { plan: paused } = await service.trigger({ action: 'dynflow_api.Fail', input: { message: 'out of paper' } });
    await lab.rested(paused);
    const { plan: sleeping } = await service.trigger({ action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } });
    const { plan: stopped } = await service.trigger({ action: 'dynflow_api.Noop', input: {} });
    await lab.rested(stopped);
    expect({
      resume: [await outcome(service.resume(sleeping)), await outcome(service.resume(stopped)), await outcome(service.resume(NOBODY))],
      cancel: [await outcome(service.cancel(sleeping)), await outcome(service.cancel(stopped)), await outcome(service.cancel(NOBODY))],
      event: [await outcome(service.sendEvent(NOBODY, 1, {})), await outcome(service.sendEvent(stopped, 99, {}))],
    }).toEqual({
      resume: ['DYN_PLAN_NOT_PAUSED', 'DYN_PLAN_NOT_PAUSED', 'DYN_PLAN_NOT_FOUND'],
      cancel: [{ canceledSteps: 1 }, { canceledSteps: 0 }, 'DYN_PLAN_NOT_FOUND'],
      event: ['DYN_STEP_NOT_FOUND', 'DYN_STEP_NOT_FOUND'],
    });
    expect(await outcome(service.resume(paused))).toBe('done');

    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const running = await world.trigger('demo.A');
    expect(await outcome(world.ask((engine) => engine.skip(running, 2)))).toBe('DYN_PLAN_NOT_PAUSED');
    await world.fail(await world.claim());
    expect(await outcome(world.ask((engine) => engine.skip(running, 99)))).toBe('DYN_STEP_NOT_FOUND');
    expect(await outcome(world.ask((engine) => engine.skip(running, 1)))).toEqual([]);
    expect(await outcome(world.ask((engine) => engine.skip(running, 2)))).toEqual([2]);
  });

  it('N13: is counted and measured, with labels', async () => {
    const { plan } = await lab.core.service.trigger({ action: 'dynflow_api.Noop', input: {} });
    await lab.rested(plan);
    await lab.core.service.trigger({ action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } });
    const text = await lab.core.metrics.text();
    const valueOf = (metric: string, labels: readonly string[] = []): number => {
      const line = text.split('\n').find((each) => each.startsWith(`${metric}{`) && labels.every((label) => each.includes(label)));
      return Number(line?.split(' ').at(-1) ?? Number.NaN);
    };
    expect(valueOf('dynflow_finished_execution_plans_total', ['state="stopped"', 'result="success"'])).toBeGreaterThanOrEqual(1);
    expect(valueOf('dynflow_active_execution_plans')).toBeGreaterThanOrEqual(1);
    expect(valueOf('dynflow_queue_size')).toBe(0);
  });

  it('WC1: lists plans', async () => {
    const { plan } = await lab.core.service.trigger({ action: 'dynflow_api.Fail', input: { message: 'out of paper' } });
    await lab.rested(plan);
    expect(await lab.core.service.count('paused')).toBeGreaterThanOrEqual(1);
    expect(await lab.core.service.states([plan])).toEqual(new Map([[plan, { state: 'paused', result: 'error' }]]));
  });

  it('WC2: shows a plan', async () => {
    const { plan } = await lab.core.service.trigger({ action: 'dynflow_api.Relay', input: { value: 1 } });
    await lab.rested(plan);
    const [view] = await lab.core.service.plans([plan]);
    expect(view).toMatchObject({ id: plan, label: 'dynflow_api.Relay', state: 'stopped', result: 'success', runFlow: ['S', 3, 5, 7] });
  });
});
