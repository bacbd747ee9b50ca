import { describe, expect, it } from 'vitest';
import {
  concurrence,
  defineAction,
  defineGatewayMiddleware,
  defineHook,
  defineLocalAction,
  defineMiddleware,
  definePlugin,
  doNotUse,
  extendAction,
  fromInput,
  outputOf,
  planAction,
  planSelf,
  suspend,
  use,
  withoutHook,
} from '@dynflow/plugin';
import { makePlanEvent, makePlanView, runLocal } from '@dynflow/plugin/testing';
import {
  PluginWorld,
  assertActionPlannedWith,
  assertOutput,
  assertRunFlow,
  assertRunPhase,
  assertVerdict,
  refuteFinalizePhase,
} from '@dynflow/testing/plugin';
import { z } from 'zod';
import { greet } from './greet.js';
import { plugin } from './index.js';

/** Greets nobody twice. */
const onlyOnce = defineMiddleware({
  name: 'onlyOnce',
  run: async (pass, { input, run }) => {
    const known = await run.store.get('greeted', String(input['name']));
    return known === null ? pass() : { exit_status: 0, is_repeated: true };
  },
});

/** Writes every name with a capital letter, before anybody else sees it. */
const capital = defineMiddleware({
  name: 'capital',
  run: async (pass, { input }) => {
    const name = String(input['name']);
    return pass({ ...input, name: name.charAt(0).toUpperCase() + name.slice(1) });
  },
});

const greetOnce = extendAction(greet, { name: 'GreetOnce', middleware: [onlyOnce] });
const greetNicely = extendAction(greetOnce, { name: 'GreetNicely', middleware: [use(capital, { before: 'onlyOnce' })] });
const greetAgain = extendAction(greetNicely, { name: 'GreetAgain', middleware: [doNotUse('onlyOnce')] });

const party = defineAction({
  name: 'Party',
  input: z.object({ guests: z.array(z.string()) }),
  plan: ({ guests }) => [
    concurrence(...guests.map((name) => planAction('example_greeting.Greet', { name }))),
    planAction('other_plugin.Announce', { guests: fromInput('guests') }),
  ],
});

/** Planned beside every party, whoever plans it. */
const tidyUp = defineAction({
  name: 'TidyUp',
  input: z.object({ after: z.json() }),
  subscribesTo: ['other_plugin.Announce'],
  plan: [planSelf({ after: outputOf('trigger', 'at') })],
  stateNames: { suspended: 'waiting for the last guest' },
  run: async ({ input, checkpoint, progress }) => {
    if (checkpoint === undefined) {
      progress(0.1);
      return suspend({ checkpoint: 'begun', waitingFor: 'the last guest', wakeAfterMs: 3_600_000 });
    }
    return Promise.resolve({ is_tidy: true, after: input.after });
  },
});

const house = definePlugin({ ...plugin, actions: [greet, greetOnce, greetNicely, greetAgain, party, tidyUp] });

describe('a plan of several actions', () => {
  it('runs to its end in one thread', async () => {
    const world = await PluginWorld.start({ plugin: house, settings: { salutation: 'Moin' } });
    world.stub('other_plugin.Announce', {}, () => ({ kind: 'done', output: { at: 'midnight' } }));

    const plan = await world.run('example_greeting.Party', { guests: ['Ada', 'Grace'] });

    assertVerdict(plan, 'stopped/success');
    assertRunFlow(plan, [
      'C',
      'example_greeting.Greet',
      'example_greeting.Greet',
      ['S', 'other_plugin.Announce', 'example_greeting.TidyUp'],
    ]);
    assertActionPlannedWith(plan, 'example_greeting.Greet', { name: 'Grace' });
    assertRunPhase(plan, 'example_greeting.TidyUp', { after: 'other_plugin.Announce.output.at' });
    refuteFinalizePhase(plan, 'example_greeting.TidyUp');
    assertOutput(plan, 'example_greeting.TidyUp', { is_tidy: true, after: 'midnight' });
    expect(world.text(plan.row.id, 2)).toBe('Moin, Ada!\n');
  });

  it('can be looked at while it waits', async () => {
    const world = await PluginWorld.start(house);
    world.stub('other_plugin.Announce');
    const { row } = await world.plan('example_greeting.Party', { guests: [] });
    await world.runReady();
    expect(world.record(row.id).step(5)).toMatchObject({ state: 'suspended', waitingFor: 'the last guest', progress: 0.1 });
    await world.advance(3_600_000);
    assertVerdict(world.record(row.id), 'stopped/success');
  });

  it('pauses where a step fails, and goes on when the cause is gone', async () => {
    const world = await PluginWorld.start(house);
    let isAway = true;
    world.stub('other_plugin.Announce', {}, () =>
      isAway
        ? { kind: 'failed', error: { errorClass: 'Away', message: 'nobody is there', kind: 'retryable' } }
        : { kind: 'done', output: {} },
    );
    const paused = await world.run('example_greeting.Party', { guests: [] });
    assertVerdict(paused, 'paused/error');
    isAway = false;
    assertVerdict(await world.resume(paused.row.id), 'stopped/success');
  });
});

describe('middleware', () => {
  it('stands around the runs of an action, and of those that are derived from it', async () => {
    const world = await PluginWorld.start(house);
    await world.run('example_greeting.GreetNicely', { name: 'ada' });
    const again = await world.run('example_greeting.GreetNicely', { name: 'Ada' });
    assertOutput(again, 'example_greeting.GreetNicely', ({ is_repeated: isRepeated }) => isRepeated === true);
    expect(world.text((await world.run('example_greeting.GreetAgain', { name: 'ada' })).row.id)).toBe('Hello, Ada!\n');
  });
});

const told: string[] = [];

const tell = defineHook({
  name: 'tell',
  on: ['paused', 'failure'],
  run: (event) => {
    told.push(`${event.label} is ${event.state}/${event.result}`);
  },
});

const count = defineLocalAction({
  name: 'Count',
  input: z.object({ upTo: z.number() }),
  hooks: [tell],
  present: (view) => ({ ...view, input: {} }),
  run: ({ input, checkpoint }) => {
    const done = typeof checkpoint === 'number' ? checkpoint + 1 : 1;
    return done >= input.upTo
      ? { kind: 'done', output: { counted: done } }
      : { kind: 'suspended', checkpoint: done, waitingFor: 'the next second', wakeAfterMs: 1_000 };
  },
});

/** Refuses plans that are too large. */
const limit = defineGatewayMiddleware({
  name: 'limit',
  planPhase: async (pass) => {
    const actions = await pass();
    if (actions.length > 1_000) {
      throw new Error(`${actions.length} actions are more than we allow`);
    }
  },
});

const inside = definePlugin({
  name: 'example_inside',
  version: '0.1.0',
  settings: { section: 'inside', schema: z.object({}) },
  gateway: {
    actions: [count, extendAction(count, { name: 'CountInSilence', hooks: [withoutHook('tell')] })],
    hooks: [{ ...tell, actions: ['example_greeting.Party'] }],
    middleware: [limit],
  },
});

describe('the part that is loaded into the gateway', () => {
  it('has actions that are invoked one by one', () => {
    const first = runLocal(inside, 'Count', { input: { upTo: 2 } });
    expect(first.outcome).toMatchObject({ kind: 'suspended', checkpoint: 1, wakeAfterMs: 1_000 });
    const second = runLocal(inside, 'Count', { input: { upTo: 2 }, checkpoint: 1, event: { kind: 'timer' } });
    expect(second.outcome).toEqual({ kind: 'done', output: { counted: 2 } });
  });

  it('or as parts of a plan', async () => {
    const world = await PluginWorld.start(inside);
    assertOutput(await world.run('example_inside.Count', { upTo: 60 }), 'example_inside.Count', { counted: 60 });
  });

  it('has hooks and filters, which are functions', () => {
    tell.run(makePlanEvent('failure', 'example_greeting.Party'));
    expect(told).toEqual(['example_greeting.Party is stopped/error']);
    const { actions } = makePlanView([{ name: 'example_inside.Count', input: { upTo: 7 } }]);
    expect(actions.map((view) => count.present?.(view).input)).toEqual([{}]);
  });
});
