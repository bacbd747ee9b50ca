import { describe, expect, it } from 'vitest';
import type { PlanNode } from '@dynflow/contracts';
import { EngineWorld } from '@dynflow/testing/engine';

const self = (input?: object): PlanNode => (input === undefined ? { kind: 'self' } : { kind: 'self', input: input as never });

function world(): EngineWorld {
  const made = new EngineWorld();
  made.actions.executor('demo.Trigger', {}, () => ({ kind: 'done', output: { answer: 42 } }));
  return made;
}

const names = (made: EngineWorld, plan: string): string[] => made.plan(plan).actions.map(({ name }) => name);

describe('an action that subscribes to another', () => {
  it('is planned once beside it, with its input, as what it planned', async () => {
    const made = world();
    made.actions.executor('other.Audit', { subscribesTo: ['demo.Trigger', 'demo.Trigger'] });
    const plan = await made.trigger('demo.Trigger', { host: 'a' });
    expect(names(made, plan)).toEqual(['demo.Trigger', 'other.Audit']);
    expect(made.plan(plan).action(2)).toMatchObject({ input: { host: 'a' }, callerAction: 1 });
    expect(made.plan(plan).runFlow).toEqual(['C', 2, 4]);
    await made.runAll();
    expect(made.plan(plan).verdict).toBe('stopped/success');
  });

  it('follows the trigger whose output it takes', async () => {
    const made = world();
    made.actions.executor('demo.Audit', {
      subscribesTo: ['demo.Trigger'],
      plan: { kind: 'data', nodes: [self({ seen: { $output: 'trigger', path: ['answer'] } })] },
    });
    const plan = await made.trigger('demo.Trigger');
    expect(made.plan(plan).runFlow).toEqual(['S', 2, 4]);
    await made.claim().then(async (held) => made.finish(held, { answer: 42 }));
    expect((await made.claim()).grant.input).toEqual({ seen: 42 });
  });

  it('keeps what follows the trigger behind itself', async () => {
    const made = world();
    made.actions.executor('demo.Last');
    made.actions.executor('demo.Audit', { subscribesTo: ['demo.Trigger'] });
    const nodes: PlanNode[] = ['demo.Trigger', 'demo.Last'].map((action) => ({ kind: 'action', action, input: {} }));
    made.actions.composite('demo.Root', [{ kind: 'sequence', nodes }]);
    const plan = await made.trigger('demo.Root');
    expect(names(made, plan)).toEqual(['demo.Root', 'demo.Trigger', 'demo.Audit', 'demo.Last']);
    expect(made.plan(plan).runFlow).toEqual(['S', ['C', 3, 5], 7]);
  });

  it('may have several triggers, and is planned with each', async () => {
    const made = world();
    made.actions.executor('demo.Second', { run: false });
    made.actions.executor('demo.Audit', { subscribesTo: ['demo.Trigger', 'demo.Second'] });
    const nodes: PlanNode[] = ['demo.Trigger', 'demo.Second'].map((action) => ({ kind: 'action', action, input: { by: action } }));
    made.actions.composite('demo.Root', nodes);
    const plan = await made.trigger('demo.Root');
    expect(names(made, plan)).toEqual(['demo.Root', 'demo.Trigger', 'demo.Audit', 'demo.Second', 'demo.Audit']);
    expect(made.plan(plan).actions.map(({ input }) => input['by'])).toEqual([
      undefined,
      'demo.Trigger',
      'demo.Trigger',
      'demo.Second',
      'demo.Second',
    ]);
  });

  it('is asked of its executor as its trigger is', async () => {
    const made = world();
    made.actions.asked('demo.Asked', () => [{ kind: 'action', action: 'demo.Trigger', input: {} }]);
    made.actions.asked('demo.Audit', (input) => [{ kind: 'self', input }], { run: true, subscribesTo: ['demo.Asked'] });
    const plan = await made.trigger('demo.Asked', { host: 'a' });
    expect(names(made, plan)).toEqual(['demo.Asked', 'demo.Trigger', 'demo.Audit']);
    expect(made.plan(plan).action(3).input).toEqual({ host: 'a' });
  });

  it('has subscribers of its own', async () => {
    const made = world();
    made.actions.executor('demo.Audit', { subscribesTo: ['demo.Trigger'] });
    made.actions.executor('demo.AuditOfAudit', { subscribesTo: ['demo.Audit'] });
    const plan = await made.trigger('demo.Trigger');
    expect(names(made, plan)).toEqual(['demo.Trigger', 'demo.Audit', 'demo.AuditOfAudit']);
    expect(made.plan(plan).action(3).callerAction).toBe(2);
  });

  it('is refused when the subscriptions go round in a circle, with their names', async () => {
    const made = world();
    made.actions.executor('demo.A', { subscribesTo: ['demo.B'] });
    made.actions.executor('demo.B', { subscribesTo: ['demo.A'] });
    const { plan, error } = await made.ask((engine) => engine.trigger({ action: 'demo.A', input: {} }));
    expect(error).toMatchObject({ code: 'DYN_INVALID_PLAN' });
    expect(error?.message).toContain('subscribe to each other in a circle? (demo.B → demo.A → demo.B)');
    expect(made.plan(plan).verdict).toBe('stopped/error');
  });

  it('cannot speak of a trigger when it is planned by itself', async () => {
    const made = world();
    made.actions.executor('demo.Audit', {
      subscribesTo: ['demo.Trigger'],
      plan: { kind: 'data', nodes: [self({ seen: { $output: 'trigger', path: [] } })] },
    });
    const { error } = await made.ask((engine) => engine.trigger({ action: 'demo.Audit', input: {} }));
    expect(error?.message).toContain('refers to the output of "trigger"');
  });
});
