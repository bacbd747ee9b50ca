import { describe, expect, it } from 'vitest';
import {
  defineAction,
  defineLocalAction,
  defineMiddleware,
  definePlugin,
  failUnless,
  fromInput,
  outputOf,
  planAction,
  planSelf,
  sequence,
  suspend,
  type Plugin,
} from '@dynflow/plugin';
import { z } from 'zod';
import { PluginWorld, assertActionPlannedWith, assertFinalizeFlow, assertOutput, assertRunFlow, assertVerdict } from '../plugin.js';

interface Services {
  greeting: string;
  isStopped: boolean;
}

const Greet = defineAction<z.ZodObject<{ name: z.ZodString }>, Services>({
  name: 'Greet',
  input: z.object({ name: z.string() }),
  chunksAs: 'lines',
  run: async (context) => {
    await context.write('stdout', `${context.services.greeting}, ${context.input.name}!\n`);
    context.progress(0.8);
    await context.store.put('greeted', context.input.name, {});
    return { exit_status: context.input.name === 'nobody' ? 1 : 0 };
  },
  finalize: failUnless('exit_status', 0, 'nobody was there'),
});

const Wait = defineAction({
  name: 'Wait',
  input: z.object({ times: z.number() }),
  run: async ({ checkpoint, input, onEvent }) => {
    const done = typeof checkpoint === 'number' ? checkpoint + 1 : 1;
    const events: unknown[] = [];
    onEvent((data) => events.push(data));
    return done > input.times || events.length > 0
      ? { done, events: events.length }
      : suspend({ checkpoint: done, waitingFor: 'time', ...(input.times > 90 ? {} : { wakeAfterMs: 60_000 }) });
  },
});

const Both = defineAction({
  name: 'Both',
  input: z.object({ names: z.array(z.string()) }),
  plan: ({ names }) => [sequence(...names.map((name) => planAction('demo.Greet', { name }))), planAction('other.Note', { at: 1 })],
});

const Relay = defineLocalAction({
  name: 'Relay',
  input: z.object({ value: z.number() }),
  run: (context) => {
    if (context.event?.kind === 'effect' && context.event.ok) {
      return { kind: 'done', output: { doubled: context.event.value } };
    }
    context.effect('double', context.input.value);
    return { kind: 'suspended', checkpoint: null, waitingFor: 'the effect' };
  },
});

const plugin: Plugin = definePlugin<z.ZodObject<{ greeting: z.ZodDefault<z.ZodString> }>, Services>({
  name: 'demo',
  version: '1',
  settings: { section: 'demo', schema: z.object({ greeting: z.string().default('Hello') }) },
  actions: [Greet, Wait, Both],
  start: async ({ settings }) => Promise.resolve({ greeting: settings.greeting, isStopped: false }),
});

const inside = definePlugin({
  name: 'inside',
  version: '1',
  settings: { section: 'inside', schema: z.object({}) },
  gateway: { actions: [Relay], effects: () => ({ double: async (payload) => Promise.resolve(Number(payload) * 2) }) },
});

describe('a world in one thread', () => {
  it('runs a plan through the plugin’s own code to its end', async () => {
    const world = await PluginWorld.start(plugin);
    const plan = await world.run('demo.Greet', { name: 'Ada' });
    assertVerdict(plan, 'stopped/success');
    assertOutput(plan, 'demo.Greet', { exit_status: 0 });
    expect(world.text(plan.row.id)).toBe('Hello, Ada!\n');
    expect(await world.store.get('greeted', 'Ada')).not.toBeNull();
  });

  it('uses settings and services that it is given', async () => {
    const set = await PluginWorld.start({ plugin, settings: { greeting: 'Moin' } });
    expect(set.text((await set.run('demo.Greet', { name: 'Ada' })).row.id)).toBe('Moin, Ada!\n');
    const served = await PluginWorld.start({ plugin, services: { greeting: 'Ahoj' } });
    expect(served.text((await served.run('demo.Greet', { name: 'Ada' })).row.id)).toBe('Ahoj, Ada!\n');
  });

  it('passes the time that a plan waits for, and no more', async () => {
    const world = await PluginWorld.start(plugin);
    const beganAtMs = world.clock.now();
    world.clock.at(beganAtMs + 3_600_000, () => undefined);
    const plan = await world.run('demo.Wait', { times: 3 });
    assertOutput(plan, 'demo.Wait', { done: 4, events: 0 });
    expect(world.clock.now() - beganAtMs).toBe(180_000);
  });

  it('says what a plan waits for when nothing happens any more, and goes on with an event', async () => {
    const world = await PluginWorld.start(plugin);
    const { row } = await world.plan('demo.Wait', { times: 99 });
    await expect(world.finish(row.id)).rejects.toThrow('it waits: step 2 for time');
    expect(await world.sendEvent(row.id, 2, 'now')).toBe(true);
    assertOutput(world.record(row.id), 'demo.Wait', { done: 2, events: 1 });
  });

  it('asks for plans, and lets a stub answer for a plugin that is not here', async () => {
    const world = await PluginWorld.start(plugin);
    world.stub('other.Note', {}, ({ input }) => ({ kind: 'done', output: { noted: input['at'] ?? null } }));
    const plan = await world.run('demo.Both', { names: ['Ada', 'Grace'] });
    assertRunFlow(plan, ['C', ['S', 'demo.Greet', 'demo.Greet'], 'other.Note']);
    assertFinalizeFlow(plan, ['demo.Greet', 'demo.Greet']);
    assertActionPlannedWith(plan, 'demo.Greet', { name: 'Grace' });
    assertOutput(plan, 'other.Note', { noted: 1 });
  });

  it('pauses, resumes and skips', async () => {
    const world = await PluginWorld.start(plugin);
    const plan = await world.run('demo.Greet', { name: 'nobody' });
    assertVerdict(plan, 'paused/error');
    assertVerdict(await world.resume(plan.row.id), 'paused/error');
    await world.skip(plan.row.id, 3);
    assertVerdict(await world.resume(plan.row.id), 'stopped/warning');
  });

  it('has an input that a plan method refuses as the error of the plan', async () => {
    const world = await PluginWorld.start(plugin);
    const plan = await world.run('demo.Both', { names: 'Ada' });
    assertVerdict(plan, 'stopped/error');
    expect(plan.step(1).error?.message).toContain('input.names');
  });

  it('runs local actions and their effects', async () => {
    const world = await PluginWorld.start(inside);
    assertOutput(await world.run('inside.Relay', { value: 21 }), 'inside.Relay', { doubled: 42 });
  });

  it('lets middleware change what is planned, and what plain steps get of it', async () => {
    const Work = defineAction({
      name: 'Work',
      input: z.object({ host: z.string() }),
      run: async ({ input }) => Promise.resolve({ ...input }),
    });
    const Outer = defineAction({
      name: 'Outer',
      input: z.object({ host: z.string() }),
      plan: [planAction('around.Work', { host: fromInput('host') }, { as: 'work' }), planSelf({ host: outputOf('work', 'host') })],
      run: async ({ input }) => Promise.resolve({ ...input }),
    });
    const rename = defineMiddleware({
      name: 'rename',
      plan: async (pass, { input }) => pass({ ...input, host: `${String(input['host'])}!` }),
    });
    const around = definePlugin({
      name: 'around',
      version: '1',
      settings: { section: 'around', schema: z.object({}) },
      actions: [Work, Outer],
      middleware: [rename],
    });
    const world = await PluginWorld.start(around);
    const plan = await world.run('around.Outer', { host: 'a' });
    assertVerdict(plan, 'stopped/success');
    assertOutput(plan, 'around.Work', { host: 'a!!' });
    assertOutput(plan, 'around.Outer', { host: 'a!!' });
  });

  it('takes steps one at a time, and stops what it started', async () => {
    const services: Services[] = [];
    const world = await PluginWorld.start({
      ...plugin,
      start: async () => {
        const made = { greeting: 'Hi', isStopped: false };
        services.push(made);
        return Promise.resolve(made);
      },
      stop: async (made: Services) => {
        made.isStopped = true;
        return Promise.resolve();
      },
    });
    const { row } = await world.plan('demo.Greet', { name: 'Ada' });
    expect([await world.runOne(), world.record(row.id).verdict, await world.runOne()]).toEqual([true, 'stopped/success', false]);
    await world.stop();
    expect(services.map(({ isStopped }) => isStopped)).toEqual([true]);
  });
});
