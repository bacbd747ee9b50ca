import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { PlanNode } from '@dynflow/contracts';
import { EngineWorld, ScriptedCatalogue } from '@dynflow/testing/engine';
import { encodeFlow } from './flow.js';
import { buildPlan } from './plan-builder.js';
import { InvalidPlanError, UnknownActionError, expandPlan, type Expansion, type PlannedNode } from './plan-expansion.js';
import type { Plan, PlanAnswer } from './model.js';

const header = {
  id: 'plan',
  shard: 0,
  label: 'label',
  callerPlan: null,
  callerAction: null,
  isExternal: false,
  concurrencyLimit: null,
  sealedSecrets: null,
  priority: 0,
  attributes: {},
  idempotencyKey: null,
  schedule: null,
  heldBecause: null,
  fingerprint: null,
  nowMs: 0,
};

const action = (name: string, input: JsonValue = {}, more: { as?: string; when?: string[] } = {}): PlanNode => ({
  kind: 'action',
  action: name,
  input,
  ...more,
});

/** Actions `demo.*`: leaves that run, and whatever the test adds. */
function catalogue(): ScriptedCatalogue {
  const actions = new ScriptedCatalogue();
  ['demo.A', 'demo.B', 'demo.C'].forEach((name) => actions.executor(name));
  return actions;
}

function expand(actions: ScriptedCatalogue, name: string, input: JsonObject = {}, answers?: Map<string, PlanAnswer>): Expansion {
  return expandPlan(name, input, actions, answers);
}

function plan(actions: ScriptedCatalogue, name = 'demo.Root', input: JsonObject = {}): Plan {
  return buildPlan(header, expand(actions, name, input).root);
}

/** What was planned below the root, as names with their inputs. */
function planned(nodes: readonly PlannedNode[]): unknown[] {
  return nodes.map((node) =>
    node.kind === 'self'
      ? 'self'
      : node.kind === 'action'
        ? [node.planned.declaration.name, node.planned.selfInput, ...planned(node.planned.body)]
        : [node.kind, ...planned(node.nodes)],
  );
}

describe('expanding a plan', () => {
  it('plans an action itself with its whole input by default', () => {
    const { root } = expand(catalogue(), 'demo.A', { a: 1 });
    expect(root.selfInput).toEqual({ a: 1 });
    expect(planned(root.body)).toEqual(['self']);
  });

  it('fills in what a template takes from the input', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [
      action('demo.A', {
        one: { $input: ['a', 'b'] },
        all: { $input: [] },
        none: { $input: ['a', 'x'] },
        list: [{ $input: ['c'] }],
        fixed: 1,
      }),
      action('demo.B', { $omit: ['secret'] }),
      action('demo.C', { rest: { $omit: ['a', 'c', 'secret'] } }),
    ]);
    const input = { a: { b: 1 }, c: [2], secret: 'x', d: null };
    expect(planned(expand(actions, 'demo.Root', input).root.body)).toEqual([
      ['demo.A', { one: 1, all: input, none: null, list: [[2]], fixed: 1 }, 'self'],
      ['demo.B', { a: { b: 1 }, c: [2], d: null }, 'self'],
      ['demo.C', { rest: { d: null } }, 'self'],
    ]);
  });

  it('never looks through what a placeholder brought in', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [action('demo.A', { from: { $input: ['user'] } })]);
    actions.composite('demo.Outer', [action('demo.Root', { user: { $input: ['user'] } })]);
    const forged = { $input: ['secret'], nested: { $output: 'self' }, $omit: [] };
    for (const name of ['demo.Root', 'demo.Outer']) {
      const built = plan(actions, name, { user: forged, secret: 's' });
      expect(built.actions.at(-1)?.input).toEqual({ from: forged });
      expect(built.actions.flatMap(({ references }) => references)).toEqual([]);
    }
    expect(plan(actions, 'demo.A', forged).actions[0]?.input).toEqual(forged);
  });

  it('takes inherited names for absent, and own odd names as they are', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [action('demo.A', { x: { $input: ['constructor'] }, y: { $input: ['__proto__', 'polluted'] } })]);
    expect(planned(expand(actions, 'demo.Root', {}).root.body)).toEqual([['demo.A', { x: null, y: null }, 'self']]);
    const odd = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2}') as JsonObject;
    expect(planned(expand(actions, 'demo.Root', odd).root.body)).toEqual([['demo.A', { x: 2, y: 1 }, 'self']]);
    expect(({} as JsonObject)['polluted']).toBeUndefined();
  });

  it('plans an action with `when` only if that is there', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [action('demo.A', {}, { when: ['flags', 'a'] }), action('demo.B', {}, { when: ['flags', 'b'] })]);
    const names = (input: JsonObject): unknown[] =>
      planned(expand(actions, 'demo.Root', input).root.body).map((node) => (node as unknown[])[0]);
    expect(names({})).toEqual([]);
    expect(names({ flags: { a: false, b: null } })).toEqual(['demo.A']);
    expect(names({ flags: { a: 0, b: '' } })).toEqual(['demo.A', 'demo.B']);
  });

  it('plans an action with `when` if what it looks at will be an output', () => {
    const actions = catalogue();
    actions.composite('demo.Inner', [action('demo.B', {}, { when: ['later', 'deep'] })]);
    actions.composite('demo.Root', [action('demo.A', {}, { as: 'a' }), action('demo.Inner', { later: { $output: 'a', path: [] } })]);
    expect(plan(actions).actions.map(({ declaration }) => declaration.name)).toEqual(['demo.Root', 'demo.A', 'demo.Inner', 'demo.B']);
  });

  it.each([
    ['at the top', 'demo.Gone'],
    ['below', 'demo.Root'],
  ])('refuses an action that nobody declares, %s', (_, name) => {
    const actions = catalogue();
    actions.composite('demo.Root', [{ kind: 'sequence', nodes: [action('demo.A'), action('demo.Gone')] }]);
    expect(() => expand(actions, name)).toThrow(UnknownActionError);
  });

  it.each([
    ['a name that nothing has', [action('demo.A', { x: { $output: 'nobody' } })]],
    ['a name that comes later', [action('demo.A', { x: { $output: 'b' } }), action('demo.B', {}, { as: 'b' })]],
    [
      'a name of an action that was not planned',
      [action('demo.A', {}, { as: 'a', when: ['no'] }), action('demo.B', { x: { $output: 'a' } })],
    ],
  ])('refuses %s', (_, nodes) => {
    const actions = catalogue();
    actions.composite('demo.Root', nodes);
    expect(() => expand(actions, 'demo.Root')).toThrow(InvalidPlanError);
  });

  it('does not know the names of other actions’ bodies', () => {
    const actions = catalogue();
    actions.composite('demo.Inner', [action('demo.A', {}, { as: 'a' })]);
    actions.composite('demo.Root', [action('demo.Inner'), action('demo.B', { x: { $output: 'a' } })]);
    expect(() => expand(actions, 'demo.Root')).toThrow('"a"');
  });

  it('knows names across nested blocks of one body', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [
      { kind: 'sequence', nodes: [action('demo.A', {}, { as: 'a' })] },
      { kind: 'concurrence', nodes: [action('demo.B', { x: { $output: 'a' } })] },
    ]);
    expect(encodeFlow(plan(actions).runFlow)).toEqual(['S', 3, 5]);
  });

  it.each([
    ['by itself', { 'demo.Root': ['demo.Root'] }],
    ['by others', { 'demo.Root': ['demo.Ping'], 'demo.Ping': ['demo.Pong'], 'demo.Pong': ['demo.Ping'] }],
    ['ever wider', { 'demo.Root': ['demo.Root', 'demo.Root', 'demo.Root'] }],
  ] as [string, Record<string, string[]>][])('refuses an action that plans itself for ever, %s', (_, bodies) => {
    const actions = catalogue();
    Object.entries(bodies).forEach(([name, children]) =>
      actions.composite(
        name,
        children.map((child) => action(child)),
      ),
    );
    expect(() => expand(actions, 'demo.Root')).toThrow('does an action plan itself?');
  });

  it('refuses a plan of more actions than anybody can want', () => {
    const actions = catalogue();
    const wide = (name: string, child: string): void =>
      void actions.composite(
        name,
        Array.from({ length: 50 }, () => action(child)),
      );
    wide('demo.One', 'demo.Two');
    wide('demo.Two', 'demo.Three');
    wide('demo.Three', 'demo.A');
    expect(() => expand(actions, 'demo.One')).toThrow('more than 100000 actions');
  });
});

describe('a plan that is asked for', () => {
  const nodes = (names: string[]): PlanNode[] => names.map((name) => action(name, { child: true }));

  it('lists what to ask, and is expanded with the answers', () => {
    const actions = catalogue();
    actions.asked('demo.Asked', () => []);
    actions.composite('demo.Root', [
      { kind: 'sequence', nodes: [action('demo.Asked', { n: 1 }), action('demo.A'), action('demo.Asked', { n: 2 })] },
    ]);
    const first = expand(actions, 'demo.Root');
    expect(first.asked.map(({ input }) => input)).toEqual([{ n: 1 }, { n: 2 }]);
    const answers = new Map(
      first.asked.map(({ key, input }) => [key, { nodes: nodes(input['n'] === 1 ? ['demo.B'] : ['demo.C', 'demo.Asked']) }]),
    );
    const second = expand(actions, 'demo.Root', {}, answers);
    expect(second.asked.map(({ input }) => input)).toEqual([{ child: true }]);
    answers.set(second.asked[0]!.key, { nodes: [] });
    const last = expand(actions, 'demo.Root', {}, answers);
    expect(last.asked).toEqual([]);
    expect(buildPlan(header, last.root).actions.map(({ declaration }) => declaration.name)).toEqual(
      ['Root', 'Asked', 'B', 'A', 'Asked', 'C', 'Asked'].map((name) => `demo.${name}`),
    );
  });

  it('shows outputs that do not exist yet as null', () => {
    const actions = catalogue();
    actions.asked('demo.Asked', () => []);
    actions.composite('demo.Root', [
      action('demo.A', {}, { as: 'a' }),
      action('demo.Asked', { now: 1, later: { $output: 'a', path: ['x'] } }),
    ]);
    expect(expand(actions, 'demo.Root').asked.map(({ input }) => input)).toEqual([{ now: 1, later: null }]);
  });

  it('runs when it has been planned; meanwhile the plan waits', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    world.actions.asked('demo.Asked', ({ count }) => Array.from({ length: Number(count) }, () => action('demo.A')));
    world.arePlannersAway = true;
    const id = await world.trigger('demo.Asked', { count: 3 });
    expect(world.plan(id)).toMatchObject({
      state: 'planning',
      states: ['running'],
      row: { request: { action: 'demo.Asked', input: { count: 3 } } },
    });
    await world.advance(60_000);
    expect(world.plan(id).state).toBe('planning');
    world.arePlannersAway = false;
    await world.advance(1_000);
    expect(world.plan(id).row).toMatchObject({ request: null, createdAtMs: world.clock.now() - 61_000 });
    await world.runAll();
    expect(world.plan(id).verdict).toBe('stopped/success');
    expect(world.plan(id).steps).toHaveLength(7);
    expect(world.store.doubledRows).toEqual([]);
  });

  it('that the executor refuses is recorded as failed in planning', async () => {
    const world = new EngineWorld();
    const error = { errorClass: 'PlanError', message: 'no hosts', kind: 'final' as const };
    world.actions.asked('demo.Asked', () => ({ error }));
    const id = await world.trigger('demo.Asked', {}, { sealedSecrets: 'sealed' });
    expect(world.plan(id).verdict).toBe('stopped/error');
    expect(world.plan(id).step(1)).toMatchObject({ kind: 'plan', state: 'error', error });
    expect(world.plan(id).row.sealedSecrets).toBeNull();
    expect(world.rested).toEqual([{ id, state: 'stopped', result: 'error' }]);
    expect(world.engine.activePlans).toBe(0);
  });

  it('that plans itself for ever ends in words', async () => {
    const world = new EngineWorld();
    world.actions.asked('demo.Asked', () => [action('demo.Asked')]);
    const id = await world.trigger('demo.Asked');
    expect(world.plan(id).verdict).toBe('stopped/error');
    expect(world.plan(id).step(1).error?.message).toContain('does an action plan itself?');
  });
});

describe('building a plan', () => {
  it('EP20 EP24 gives the ids of the script plan: six steps, and the flows that Foreman’s users know', () => {
    const actions = new ScriptedCatalogue();
    actions.composite('rex.RunScript', [
      action('rex.ScriptRunner', { $omit: ['callback'] }, { as: 'script' }),
      action('tasks.Callback', { callback: { $input: ['callback'] }, data: { $output: 'script', path: [] } }, { when: ['callback'] }),
    ]);
    actions.executor('rex.ScriptRunner', { finalize: { kind: 'run' }, cancellable: true });
    actions.executor('tasks.Callback');
    const built = plan(actions, 'rex.RunScript', { script: 'id', callback: { task_id: 't' } });
    expect(built.steps.map(({ id, kind, action: of }) => [id, kind, of])).toEqual([
      [1, 'plan', 1],
      [2, 'plan', 2],
      [3, 'run', 2],
      [4, 'finalize', 2],
      [5, 'plan', 3],
      [6, 'run', 3],
    ]);
    expect(encodeFlow(built.runFlow)).toEqual(['S', 3, 6]);
    expect(encodeFlow(built.finalizeFlow)).toEqual(['S', 4]);
    expect(built.actions.map(({ callerAction }) => callerAction)).toEqual([null, 1, 1]);
    expect(built.actions[1]?.input).toEqual({ script: 'id' });
    expect(built.actions[2]?.input).toEqual({
      callback: { task_id: 't' },
      data: { class: 'Dynflow::ExecutionPlan::OutputReference', execution_plan_id: 'plan', step_id: 3, action_id: 2, subkeys: [] },
    });
  });

  it('collapses the run flow to one step', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [{ kind: 'sequence', nodes: [{ kind: 'concurrence', nodes: [action('demo.A')] }] }]);
    expect(encodeFlow(plan(actions).runFlow)).toBe(3);
  });

  it('EP22 EP26 orders by references: a child behind the sibling whose output it takes', () => {
    const actions = catalogue();
    actions.composite('demo.Root', [
      action('demo.A', {}, { as: 'a' }),
      action('demo.B', {}, { as: 'b' }),
      action('demo.C', { deep: [{ from: { $output: 'a', path: ['x', 'y'] } }] }),
    ]);
    const built = plan(actions);
    expect(encodeFlow(built.runFlow)).toEqual(['C', 5, ['S', 3, 7]]);
    expect(built.actions[3]?.references).toEqual([{ at: ['deep', '0', 'from'], step: 3, action: 2, subkeys: ['x', 'y'] }]);
  });

  it('follows an output through the inputs of the actions between', () => {
    const actions = catalogue();
    actions.composite('demo.Inner', [action('demo.B', { value: { $input: ['given', 'part'] } })]);
    actions.composite('demo.Root', [action('demo.A', {}, { as: 'a' }), action('demo.Inner', { given: { $output: 'a', path: ['out'] } })]);
    const built = plan(actions);
    expect(encodeFlow(built.runFlow)).toEqual(['S', 3, 6]);
    expect(built.actions[3]?.references).toEqual([{ at: ['value'], step: 3, action: 2, subkeys: ['out', 'part'] }]);
  });

  it('lets a child take the output of the action that plans it', () => {
    const actions = catalogue();
    actions.executor('demo.Root', {
      plan: { kind: 'data', nodes: [{ kind: 'self' }, action('demo.A', { x: { $output: 'self', path: ['y'] } })] },
    });
    expect(encodeFlow(plan(actions).runFlow)).toEqual(['S', 2, 4]);
  });

  it('EP30 finalizes in planning order, a parent that plans itself last coming last', () => {
    const actions = new ScriptedCatalogue();
    const finalize = { kind: 'run' as const };
    actions.executor('demo.A', { finalize });
    actions.executor('demo.Root', {
      finalize,
      run: false,
      plan: { kind: 'data', nodes: [action('demo.A'), action('demo.A'), { kind: 'self' }] },
    });
    expect(encodeFlow(plan(actions).finalizeFlow)).toEqual(['S', 4, 7, 8]);
  });

  it('makes steps pending, the plan’s own over, and outputs as they begin', () => {
    const actions = catalogue();
    actions.executor('demo.Root', { queue: 'slow', initialOutput: { status: null }, finalize: { kind: 'run' } });
    const built = plan(actions);
    expect(built.steps.map(({ state, queue }) => [state.name, queue])).toEqual([
      ['success', 'slow'],
      ['pending', 'slow'],
      ['pending', 'slow'],
    ]);
    expect(built.actions[0]?.output).toEqual({ status: null });
    expect(built.state).toBe('planned');
  });

  it.each([
    ['an output of an action that only plans', [action('demo.Nothing', {}, { as: 'n' }), action('demo.A', { x: { $output: 'n' } })]],
    ['its own output before it planned itself', [action('demo.A', { x: { $output: 'self' } }), { kind: 'self' as const }]],
    ['its own output in its own input', [{ kind: 'self' as const, input: { x: { $output: 'self' } } }]],
    ['itself twice', [{ kind: 'self' as const }, { kind: 'self' as const }]],
    ['itself with an input that is no object', [{ kind: 'self' as const, input: [1] }]],
  ])('refuses a plan with %s', (_, nodes) => {
    const actions = catalogue();
    actions.composite('demo.Nothing', []);
    actions.executor('demo.Root', { plan: { kind: 'data', nodes } });
    expect(() => plan(actions)).toThrow(InvalidPlanError);
  });

  it('N8 costs a plan of 16,000 actions about sixteen times what it costs one of 1,000', () => {
    const actions = catalogue();
    const declare = (count: number): string => {
      const name = `demo.Row${count}`;
      // A long row by references, all of which look at the first as well.
      const row = Array.from({ length: count }, (_, n) =>
        action('demo.A', n === 0 ? {} : { before: { $output: `s${n - 1}` }, first: { $output: 's0' } }, { as: `s${n}` }),
      );
      actions.composite(name, row);
      return name;
    };
    const costOf = (name: string): number => {
      const before = process.cpuUsage();
      expect(plan(actions, name).runFlow).toMatchObject({ kind: 'sequence' });
      return process.cpuUsage(before).user;
    };
    const [long, short] = [declare(16_000), declare(1_000)];
    costOf(short);
    costOf(long);
    // In turns, and the least of each: what else the machine does adds to some of them, never to all.
    const costs = Array.from({ length: 4 }, () => ({ long: costOf(long), short: costOf(short) }));
    const least = (of: 'long' | 'short'): number => Math.min(...costs.map((cost) => cost[of]));
    // Sixteen if it is linear, 256 if it is quadratic; compiling and collecting garbage blur it by a factor of two or three.
    expect(least('long') / least('short')).toBeLessThan(100);
  });
});
