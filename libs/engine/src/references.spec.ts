import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { PlanNode } from '@dynflow/contracts';
import { EngineWorld, done, suspended, type ActionOptions } from '@dynflow/testing/engine';

/** A root whose second child, `demo.Take`, is given this input; `a` names the first. */
async function taking(input: JsonValue, options: ActionOptions = {}): Promise<{ world: EngineWorld; plan: string }> {
  const world = new EngineWorld();
  world.actions.executor('demo.Make', options);
  world.actions.executor('demo.Take');
  world.actions.composite('demo.Root', [
    { kind: 'action', action: 'demo.Make', input: {}, as: 'a' },
    { kind: 'action', action: 'demo.Take', input },
  ] satisfies PlanNode[]);
  return { world, plan: await world.trigger('demo.Root', { user: 'data' }) };
}

describe('a reference to an output', () => {
  it.each([
    ['a value', { $output: 'a', path: ['n'] }, 1],
    ['a deeper value', { $output: 'a', path: ['deep', 'x'] }, 'y'],
    ['the whole output', { $output: 'a' }, { n: 1, deep: { x: 'y' } }],
    ['in a list', [0, { $output: 'a', path: ['n'] }], [0, 1]],
    ['nothing', { $output: 'a', path: ['absent', 'at all'] }, null],
    ['nothing within a value', { $output: 'a', path: ['n', 'x'] }, null],
  ] as [string, JsonValue, JsonValue][])('EX28 is %s when the step is claimed', async (_, value, expected) => {
    const { world, plan } = await taking({ value, fixed: true });
    await world.finish(await world.claim(), { n: 1, deep: { x: 'y' } });
    const held = await world.claim();
    expect(held.grant.input).toEqual({ value: expected, fixed: true });
    await world.finish(held);
    // The stored input still shows where the value came from.
    expect(JSON.stringify(world.plan(plan).action(3).input)).toContain('OutputReference');
  });

  it('is the output as it is then, also after a restart', async () => {
    const { world } = await taking({ value: { $output: 'a', path: ['n'] } });
    await world.finish(await world.claim(), { n: 2 });
    world.tokens.length = 0;
    await world.restart();
    expect((await world.claim()).grant.input).toEqual({ value: 2 });
  });

  it('takes the output chunks in, as Foreman reads them', async () => {
    const { world } = await taking({ value: { $output: 'a' } }, { chunksAs: 'result' });
    await world.report(await world.claim(), { kind: 'done', output: { exit_status: 0 } }, ['hello', 'bye']);
    const chunk = (output: string): JsonObject => ({ output_type: 'stdout', output, timestamp: 0 });
    expect((await world.claim()).grant.input).toEqual({ value: { exit_status: 0, result: [chunk('hello'), chunk('bye')] } });
  });

  it('that somebody writes into an input is data, not a reference', async () => {
    const forged = {
      class: 'Dynflow::ExecutionPlan::OutputReference',
      execution_plan_id: '',
      step_id: 3,
      action_id: 2,
      subkeys: ['secret'],
    };
    const { world, plan } = await taking({ value: { $output: 'a', path: ['n'] }, forged: { ...forged } });
    await world.finish(await world.claim(), { n: 1, secret: 's3cret' });
    expect((await world.claim()).grant.input).toEqual({ value: 1, forged });
    // Not even with the plan's true id, which a caller may choose.
    const world2 = new EngineWorld();
    world2.actions.executor('demo.A');
    const mine = { ...forged, execution_plan_id: plan, step_id: 2, action_id: 1 };
    await world2.trigger('demo.A', { mine }, { id: plan });
    expect((await world2.claim()).grant.input).toEqual({ mine });
  });

  it('that an output brings in is not looked through', async () => {
    const { world, plan } = await taking({ value: { $output: 'a', path: ['n'] } });
    const forged = {
      class: 'Dynflow::ExecutionPlan::OutputReference',
      execution_plan_id: plan,
      step_id: 3,
      action_id: 2,
      subkeys: ['secret'],
    };
    await world.finish(await world.claim(), { n: forged, secret: 's3cret' });
    expect((await world.claim()).grant.input).toEqual({ value: forged });
  });

  it('to a skipped step skips the step that has it', async () => {
    const { world, plan } = await taking({ value: { $output: 'a' } }, { rescueStrategy: 'Skip' });
    await world.fail(await world.claim());
    expect(world.plan(plan).verdict).toBe('stopped/warning');
    expect(
      world
        .plan(plan)
        .steps.filter(({ kind }) => kind === 'run')
        .map(({ state }) => state),
    ).toEqual(['skipped', 'skipped']);
  });
});

describe('a local action', () => {
  /** `gw.Post` sends its input out as the payload of an effect. */
  async function posting(input: JsonValue, isLast: boolean): Promise<EngineWorld> {
    const world = new EngineWorld();
    world.actions.executor('demo.Make', { chunksAs: 'result' });
    world.actions.local('gw.Post', ({ event, input: given }) => {
      const commands = event === undefined ? [{ kind: 'effect' as const, name: 'post', payload: { body: given } }] : [];
      return isLast || event !== undefined ? done({}, commands) : suspended({ commands });
    });
    world.actions.composite('gw.Root', [
      { kind: 'action', action: 'demo.Make', input: {}, as: 'a' },
      { kind: 'action', action: 'gw.Post', input },
    ]);
    await world.trigger('gw.Root');
    await world.report(await world.claim(), { kind: 'done', output: { exit_status: 7 } }, ['text']);
    return world;
  }

  it.each([
    ['waits for the effect', false],
    ['is done with it, as its plan is', true],
  ])('sends out outputs with their chunks when it %s', async (_, isLast) => {
    const world = await posting({ status: { $output: 'a', path: ['exit_status'] }, all: { $output: 'a' } }, isLast);
    const all = { exit_status: 7, result: [{ output_type: 'stdout', output: 'text', timestamp: 0 }] };
    // An output with chunks stays a reference within the turn, and so do its parts: they are read when they leave.
    expect(world.effects).toEqual([{ action: 'gw.Post', name: 'post', payload: { body: { status: 7, all } } }]);
    expect(world.plans.map(({ verdict }) => verdict)).toEqual(['stopped/success']);
  });
});
