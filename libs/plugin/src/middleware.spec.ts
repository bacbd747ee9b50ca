import { describe, expect, it } from 'vitest';
import { isJsonObject, type JsonObject } from '@dynflow/kernel';
import { z } from 'zod';
import {
  declarationOf,
  defineAction,
  defineMiddleware,
  definePlugin,
  descendantsOf,
  doNotUse,
  extendAction,
  middlewareOf,
  performDelay,
  suspend,
  use,
  type ActionDefinition,
  type Middleware,
  type Plugin,
} from './index.js';
import { planOf, runAction } from './testing/index.js';

const input = z.object({ host: z.string(), by: z.string().default('nobody') });

function pluginWith(action: Partial<ActionDefinition<typeof input>>, middleware: Middleware[] = []): Plugin {
  const Work = defineAction({ name: 'Work', input, run: async (context) => Promise.resolve({ host: context.input.host }), ...action });
  return definePlugin({
    name: 'demo',
    version: '1',
    settings: { section: 'demo', schema: z.object({}) },
    actions: [Work],
    middleware,
  });
}

const run = async (plugin: Plugin): Promise<unknown> => (await runAction(plugin, 'Work', { input: { host: 'a' } })).outcome;

describe('middleware around a run', () => {
  it('is called from the outside in, the plugin’s first, and sees input and output', async () => {
    const seen: string[] = [];
    const watch = (name: string): Middleware =>
      defineMiddleware({
        name,
        run: async (pass, call) => {
          seen.push(`${name} ${call.action} ${JSON.stringify(call.input)} ${call.run.attempt}`);
          const output = await pass();
          seen.push(`${name} ${JSON.stringify(output)}`);
          return output;
        },
      });
    await run(pluginWith({ middleware: [watch('inner')] }, [watch('outer')]));
    expect(seen).toEqual(['outer demo.Work {"host":"a"} 1', 'inner demo.Work {"host":"a"} 1', 'inner {"host":"a"}', 'outer {"host":"a"}']);
  });

  it('may change what goes in and what comes out; the schema parses what arrives', async () => {
    const change = defineMiddleware({
      name: 'change',
      run: async (pass, { input: given }) => {
        const output = await pass({ ...given, host: 'b' });
        return isJsonObject(output) ? { ...output, isChanged: true } : output;
      },
    });
    const echo = pluginWith({ middleware: [change], run: async (context) => Promise.resolve({ ...context.input }) });
    expect(await run(echo)).toEqual({ kind: 'done', output: { host: 'b', by: 'nobody', isChanged: true } });
  });

  it('may try again, skip, suspend, or fail the step', async () => {
    let calls = 0;
    const flaky = async (): Promise<JsonObject> => {
      calls += 1;
      return calls < 3 ? Promise.reject(new Error('not yet')) : Promise.resolve({ calls });
    };
    const again = defineMiddleware({ name: 'again', run: async (pass) => pass().catch(async () => pass().catch(async () => pass())) });
    expect(await run(pluginWith({ middleware: [again], run: flaky }))).toEqual({ kind: 'done', output: { calls: 3 } });
    const skip = defineMiddleware({ name: 'skip', run: async () => Promise.resolve({ isSkipped: true }) });
    expect(await run(pluginWith({ middleware: [skip], run: flaky }))).toEqual({ kind: 'done', output: { isSkipped: true } });
    expect(calls).toBe(3);
    const park = defineMiddleware({ name: 'park', run: async () => Promise.resolve(suspend({ checkpoint: 1, waitingFor: 'a window' })) });
    expect(await run(pluginWith({ middleware: [park] }))).toMatchObject({ kind: 'suspended', waitingFor: 'a window' });
    const refuse = defineMiddleware({ name: 'refuse', run: async () => Promise.reject(new RangeError('not today')) });
    expect(await run(pluginWith({ middleware: [refuse] }))).toMatchObject({
      kind: 'failed',
      error: { errorClass: 'RangeError', message: 'not today' },
    });
  });

  it('cannot pass on an input that does not fit, nor an output that is no JSON', async () => {
    const wrong = defineMiddleware({ name: 'wrong', run: async (pass) => pass({ host: 7 }) });
    expect(await run(pluginWith({ middleware: [wrong] }))).toMatchObject({
      kind: 'failed',
      error: { code: 'DYN_INVALID_INPUT', message: expect.stringContaining('input.host') },
    });
    const dated = defineMiddleware({ name: 'dated', run: async () => Promise.resolve({ at: new Date() } as unknown as JsonObject) });
    expect(await run(pluginWith({ middleware: [dated] }))).toMatchObject({ kind: 'failed', error: { code: 'DYN_INVALID_OUTPUT' } });
  });

  it('stands around finalize as well', async () => {
    const seen: string[] = [];
    const watch = defineMiddleware({
      name: 'watch',
      finalize: async (pass) => {
        seen.push('in');
        const output = await pass();
        seen.push('out');
        return output;
      },
    });
    const plugin = pluginWith({ middleware: [watch], finalize: async () => Promise.resolve({ isFinal: true }) });
    const { outcome } = await runAction(plugin, 'Work', { input: { host: 'a' }, phase: 'finalize' });
    expect([outcome, seen]).toEqual([{ kind: 'done', output: { isFinal: true } }, ['in', 'out']]);
  });
});

describe('middleware around planning', () => {
  const twice = defineMiddleware({
    name: 'twice',
    plan: async (pass) => {
      const nodes = await pass();
      return [...nodes, { kind: 'action', action: 'demo.Audit', input: {} }];
    },
  });

  it('makes an action one that is asked for, also by inheritance', () => {
    const { actions } = declarationOf(pluginWith({ middleware: [twice] }), {});
    expect(actions[0]?.plan).toEqual({ kind: 'asked' });
    expect(declarationOf(pluginWith({}), {}).actions[0]).toMatchObject({ plan: { kind: 'self' }, delay: 'plain' });
  });

  it('may add to the tree', async () => {
    expect(await planOf(pluginWith({ middleware: [twice] }), 'Work', { host: 'a' })).toEqual([
      { kind: 'self' },
      { kind: 'action', action: 'demo.Audit', input: {} },
    ]);
  });

  it('cannot plan what is no JSON; the place is named', async () => {
    const plugin = pluginWith({ plan: () => [{ kind: 'self', input: { at: new Date() as unknown as string } }] });
    await expect(planOf(plugin, 'Work', { host: 'a' })).rejects.toThrow('what Work planned cannot be kept as JSON: plan.0.input.at: Date');
  });
});

describe('middleware around delay', () => {
  it('changes what is stored, after the action itself', async () => {
    const stamp = defineMiddleware({
      name: 'stamp',
      delay: async (pass, { schedule }) => ({ ...(await pass({ host: 'b' })), at: schedule.startAtMs ?? null }),
    });
    const plugin = pluginWith({ middleware: [stamp], delay: ({ host }) => ({ host, by: 'delay' }) });
    expect(declarationOf(plugin, {}).actions[0]).toMatchObject({ plan: { kind: 'self' }, delay: 'asked' });
    const action = plugin.actions![0]!;
    const around = { name: 'demo.Work', action, middleware: middlewareOf(plugin, action) };
    expect(await performDelay(around, { host: 'a' }, { startAtMs: 5 })).toEqual({ host: 'b', by: 'delay', at: 5 });
    await expect(performDelay(around, { host: 'a' }, { startAtMs: 1n as unknown as number })).rejects.toThrow('input.at: a bigint');
  });
});

describe('an action that is derived from another', () => {
  const [outer, inner] = ['outer', 'inner'].map((name) => defineMiddleware({ name })) as [Middleware, Middleware];
  const Base = defineAction({ name: 'Base', input, queue: 'slow', middleware: [outer] });
  const Derived = extendAction(Base, { name: 'Derived', queue: 'fast', middleware: [inner] });
  const Last = extendAction(Derived, { name: 'Last', middleware: [doNotUse('outer')] });
  const names = (action: typeof Base): string[] => middlewareOf({ name: 'demo' }, action).map(({ name }) => name);

  it('has its middleware outermost, and may leave it out', () => {
    expect([names(Base), names(Derived), names(Last)]).toEqual([['outer'], ['outer', 'inner'], ['inner']]);
    expect([Derived.name, Derived.queue, Derived.input === Base.input]).toEqual(['Derived', 'fast', true]);
  });

  it('can be found by it', () => {
    const Other = defineAction({ name: 'Other', input });
    expect(descendantsOf(Base, [Base, Derived, Last, Other]).map(({ name }) => name)).toEqual(['Derived', 'Last']);
  });

  it('shows a contradiction when the plugin is declared', () => {
    const plugin = pluginWith({ middleware: [use(inner, { before: 'outer', after: 'outer' })] }, [outer]);
    expect(() => declarationOf(plugin, {})).toThrow('the middleware of demo.Work cannot be ordered');
  });
});
