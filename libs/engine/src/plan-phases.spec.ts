import { describe, expect, it } from 'vitest';
import type { PhasedPlan } from '@dynflow/contracts';
import { EngineWorld, type PlanMethod } from '@dynflow/testing/engine';

type PlanPhase = (plan: PhasedPlan, pass: () => Promise<string[]>) => Promise<void>;

function world(planPhase: PlanPhase): { made: EngineWorld; told: string[] } {
  const told: string[] = [];
  const made: EngineWorld = new EngineWorld({
    phases: {
      wrapsPlanning: true,
      planPhase,
      finalizeBegins: (plan) => told.push(`begins ${plan.action}, ${made.tokens.length} tokens`),
      finalizeEnds: () => told.push('ends'),
    },
  });
  made.actions.executor('demo.A', { finalize: { kind: 'run' } });
  made.actions.executor('demo.Audit', { subscribesTo: ['demo.A'] });
  return { made, told };
}

describe('who wraps the planning of plans', () => {
  it('lets it pass, and sees what was planned before it is recorded', async () => {
    const seen: unknown[] = [];
    const { made } = world(async (plan, pass) => {
      seen.push(made.plan(plan.id).state, await pass(), made.plan(plan.id).state);
    });
    const plan = await made.trigger('demo.A');
    expect(seen).toEqual(['planning', ['demo.A', 'demo.Audit'], 'planning']);
    expect(made.plan(plan).state).toBe('running');
  });

  it('may refuse it, before or after', async () => {
    const { made } = world(async (_plan, pass) => {
      const names = await pass();
      throw new RangeError(`not with ${names.length} actions`);
    });
    const plan = await made.trigger('demo.A');
    expect(made.plan(plan).verdict).toBe('stopped/error');
    expect(made.plan(plan).step(1).error).toMatchObject({ message: 'not with 2 actions' });
  });

  it('cannot leave a plan unplanned in silence', async () => {
    const { made } = world(async () => Promise.resolve());
    const plan = await made.trigger('demo.A');
    expect(made.plan(plan).step(1).error?.message).toContain('did not let it be planned');
  });

  it('is asked again when no executor answered', async () => {
    let calls = 0;
    const { made } = world(async (_plan, pass) => {
      calls += 1;
      await pass();
    });
    const method: PlanMethod = () => [{ kind: 'self' }];
    made.actions.asked('demo.Asked', method, { run: true });
    made.arePlannersAway = true;
    const plan = await made.trigger('demo.Asked');
    made.arePlannersAway = false;
    await made.advance(1_000);
    expect([calls, made.plan(plan).state]).toEqual([2, 'running']);
  });
});

describe('who wraps the finalize phase', () => {
  const passing: PlanPhase = async (_plan, pass) => void (await pass());

  it('hears of its begin before any executor, and of its end', async () => {
    const { made, told } = world(passing);
    await made.trigger('demo.A');
    await made.finish(await made.claim());
    expect(told).toEqual([]);
    await made.finish(await made.claim());
    expect(told).toEqual(['begins demo.A, 0 tokens']);
    await made.finish(await made.claim());
    expect(told).toEqual(['begins demo.A, 0 tokens', 'ends']);
  });

  it('hears of none where no action has one', async () => {
    const { made, told } = world(passing);
    await made.trigger('demo.Audit');
    await made.runAll();
    expect(told).toEqual([]);
  });

  it('hears of its begin again after a restart', async () => {
    const { made, told } = world(passing);
    await made.trigger('demo.A');
    await made.finish(await made.claim());
    await made.finish(await made.claim());
    await made.restart();
    await made.runAll();
    expect(told.map((each) => each.slice(0, 6))).toEqual(['begins', 'begins', 'ends']);
  });
});
