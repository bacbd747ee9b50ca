import { describe, expect, it } from 'vitest';
import type { OutcomeV1, SubPlanV1 } from '@dynflow/contracts';
import { EngineWorld, type HeldStep } from '@dynflow/testing/engine';

const children = (count: number, action = 'demo.Child'): SubPlanV1[] => Array.from({ length: count }, (_, n) => ({ action, input: { n } }));

const asking = (asked: SubPlanV1[], concurrencyLimit?: number): OutcomeV1 => ({
  kind: 'suspended',
  checkpoint: { asked: true },
  waitingFor: 'its sub-plans',
  subPlans: { children: asked, ...(concurrencyLimit === undefined ? {} : { concurrencyLimit }) },
});

async function parent(): Promise<{ world: EngineWorld; plan: string; held: HeldStep }> {
  const world = new EngineWorld();
  world.actions.executor('demo.Parent', { cancellable: true, resumable: true });
  world.actions.executor('demo.Child', { cancellable: true });
  const plan = await world.trigger('demo.Parent');
  return { world, plan, held: await world.claim() };
}

const madeBy = (world: EngineWorld, plan: string): string[] =>
  world.plans.filter(({ row }) => row.callerPlan === plan).map(({ row }) => row.id);

/** Ends all that is ready but the step of this plan. */
async function finishChildren(world: EngineWorld, plan: string): Promise<void> {
  for (const { token } of world.tokens.filter((each) => each.token.plan !== plan)) {
    await world.finish(await world.claim({ plan: token.plan }));
  }
}

describe('sub-plans of an executor’s step', () => {
  it('are made while it is parked; it is invoked with their counts when all are at rest', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking(children(3)));
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', waitingFor: 'its sub-plans' });
    expect(madeBy(world, plan)).toHaveLength(3);
    await world.finish(await world.claim());
    await world.fail(await world.claim());
    expect(world.tokens.map(({ token }) => token.plan)).not.toContain(plan);
    await world.finish(await world.claim());
    const counts = { total: 3, pending: 0, waiting: 0, success: 2, failed: 1, unplanned: 0, cancelled: 0 };
    const again = await world.claim({ plan });
    expect(again.grant).toMatchObject({ checkpoint: { asked: true }, events: [{ kind: 'subPlans', counts }], subPlans: counts });
    await world.finish(again);
    expect(world.plan(plan).verdict).toBe('stopped/success');
  });

  it('are those of its plan: caller and priority', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking([{ ...children(1)[0]!, label: 'a child', attributes: { host: 'h' } }]));
    const [child] = madeBy(world, plan);
    expect(world.plan(child!).row).toMatchObject({ callerPlan: plan, callerAction: 1, label: 'a child', attributes: { host: 'h' } });
  });

  it('run as many at once as it says', async () => {
    const { world, held } = await parent();
    await world.report(held, asking(children(3), 1));
    expect(world.tokens).toHaveLength(1);
    await world.finish(await world.claim());
    expect(world.tokens).toHaveLength(1);
  });

  it('are made once, however often it is reported', async () => {
    const { world, plan, held } = await parent();
    const report = await world.report(held, asking(children(2)));
    await world.ask((engine) => engine.report('demo', report));
    await world.restart();
    await world.ask((engine) => engine.report('demo', report));
    expect(madeBy(world, plan)).toHaveLength(2);
  });

  it('can be asked for again, in further invocations', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking(children(1)));
    await finishChildren(world, plan);
    await world.report(await world.claim({ plan }), asking(children(1)));
    await finishChildren(world, plan);
    expect((await world.claim({ plan })).grant.subPlans).toMatchObject({ total: 2, success: 2 });
    expect(new Set(madeBy(world, plan)).size).toBe(2);
  });

  it('that cannot be planned count at once', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking(children(2, 'demo.Gone')));
    expect((await world.claim({ plan })).grant.subPlans).toMatchObject({ total: 2, pending: 0, failed: 2, unplanned: 2 });
  });

  it('are made five hundred a turn', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking(children(1_200)));
    expect(world.store.commits.map(({ newPlans }) => newPlans.length).filter((made) => made > 1)).toEqual([500, 500, 200]);
    expect(madeBy(world, plan)).toHaveLength(1_200);
    expect(world.plan(plan).step(2).detail).not.toHaveProperty('askedSubPlans');
  });

  it('never get a secret in the open', async () => {
    const { world, plan, held } = await parent();
    world.actions.executor('demo.Login', { secrets: ['password'] });
    await world.report(held, asking([{ action: 'demo.Login', input: { password: 'hunter2' } }]));
    expect(world.plan(plan).step(2).error).toMatchObject({ code: 'DYN_SECRET_IN_SUB_PLAN' });
    expect(JSON.stringify(world.store.commits)).not.toContain('hunter2');
  });

  it('are cancelled with it; it ends when they have', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking(children(3), 1));
    const child = await world.claim();
    await world.ask((engine) => engine.cancel(plan));
    expect(child.events).toEqual([{ kind: 'cancel', force: false }]);
    expect(world.plan(plan).state).toBe('running');
    await world.finish(child);
    expect(world.plan(plan).verdict).toBe('stopped/error');
    expect(world.plan(plan).step(2).error).toMatchObject({ code: 'DYN_CANCELLED' });
    expect(world.engine.activePlans).toBe(0);
  });

  it('do not keep it from other events', async () => {
    const { world, plan, held } = await parent();
    await world.report(held, asking(children(1)));
    await world.ask((engine) => engine.sendEvent(plan, 2, 'hello'));
    const again = await world.claim({ plan });
    expect(again.grant).toMatchObject({ events: ['hello'], subPlans: { pending: 1 } });
    await finishChildren(world, plan);
    expect(again.events).toMatchObject([{ kind: 'external', data: { kind: 'subPlans' } }]);
  });

  it.each(['crash', 'failure', 'lost answer'] as const)('are right after a %s at any commit', async (what) => {
    const story = async (disturbed: number): Promise<{ world: EngineWorld; commits: number }> => {
      const world = new EngineWorld();
      world.actions.executor('demo.Parent', { resumable: true }, ({ subPlans }) =>
        subPlans === undefined ? asking(children(3), 2) : { kind: 'done', output: { ...subPlans } },
      );
      world.actions.executor('demo.Child', { idempotent: true });
      const disturb = (number: number): void => {
        if (what === 'crash' ? number === disturbed : number === disturbed - 1) {
          if (what === 'crash') {
            world.crash();
          } else {
            world.store.failNextCommit(undefined, { isWritten: what === 'lost answer' });
          }
        }
      };
      world.store.onCommit = disturb;
      disturb(0);
      for (let round = 0; round < 50; round += 1) {
        try {
          await world.ask((engine) => engine.trigger({ id: 'p', action: 'demo.Parent', input: {} }));
          for (const executor of world.executors) {
            for (const report of executor.unconfirmed.values()) {
              await world.ask(async () => executor.send(report));
            }
          }
          const known = new Set(world.held.map(({ claim }) => claim));
          await world.ask((engine) => engine.executorLost('demo', 'e1', (_, claim) => !known.has(claim)));
          world.tokens.splice(0, world.tokens.length, ...world.engine.readyTokens());
          for (const held of world.held) {
            await world.performStep(held);
          }
          await world.runAll();
          await world.advance(1_000);
        } catch {
          if (world.isCrashed) {
            await world.restart();
          } else {
            await world.advance(1_000);
          }
        }
      }
      return { world, commits: world.store.commits.length };
    };
    const { commits } = await story(-5);
    expect(commits).toBeGreaterThan(8);
    for (let commit = 1; commit <= commits; commit += 1) {
      const { world } = await story(commit);
      const plans = world.plans.map(({ verdict }) => verdict);
      expect({ commit, plans, counts: world.plan('p').output(), active: world.engine.activePlans }).toMatchObject({
        commit,
        plans: Array.from({ length: 4 }, () => 'stopped/success'),
        counts: { total: 3, success: 3 },
        active: 0,
      });
    }
  });
});
