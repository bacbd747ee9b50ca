import { describe, expect, it } from 'vitest';
import { GatewayStacks, definePlugin, type GatewayMiddleware, type PhasedPlan, type Plugin, type PluginLog } from '@dynflow/plugin';
import { makePlanEvent, makePlanView, silentLog } from '@dynflow/plugin/testing';
import { z } from 'zod';
import { HookHost } from './hook-host.js';
import { LocalHost } from './local-host.js';
import { PhaseHost } from './phase-host.js';
import { PlanPresenter } from './plan-presenter.js';

/** Keeps what went wrong. */
class ErrorLog implements PluginLog {
  readonly errors: string[] = [];
  readonly debug = silentLog.debug;
  readonly info = silentLog.info;
  readonly warn = silentLog.warn;
  readonly error = (message: string): void => void this.errors.push(message);
}

const settings = { section: 'demo', schema: z.object({}) };
const plan: PhasedPlan = { id: 'p1', label: 'a plan', action: 'demo.Work', callerPlan: null };

function pluginWith(gateway: Plugin['gateway']): Plugin {
  return definePlugin({ name: 'demo', version: '1', settings, ...(gateway === undefined ? {} : { gateway }) });
}

describe('hooks', () => {
  const hosted = (gateway: NonNullable<Plugin['gateway']>): { hooks: HookHost; log: ErrorLog } => {
    const plugin = pluginWith(gateway);
    const log = new ErrorLog();
    const hooks = new HookHost(new GatewayStacks([plugin]), () => ({ version: '1' }) as never);
    hooks.add(plugin, log);
    return { hooks, log };
  };

  it('of one plan wait for each other, those of others do not', async () => {
    const seen: string[] = [];
    let goOn = (): void => undefined;
    const first = new Promise<void>((resolve) => (goOn = resolve));
    const { hooks } = hosted({
      hooks: [
        {
          name: 'slow',
          actions: ['other.Work'],
          run: async (event) => {
            if (event.plan === 'p1' && event.kind === 'pending') {
              await first;
            }
            seen.push(`${event.plan} ${event.kind}`);
          },
        },
      ],
    });
    hooks.call(makePlanEvent('pending', 'other.Work', { plan: 'p1' }));
    hooks.call(makePlanEvent('planning', 'other.Work', { plan: 'p1' }));
    hooks.call(makePlanEvent('pending', 'other.Work', { plan: 'p2' }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(['p2 pending']);
    goOn();
    await hooks.settled();
    expect(seen).toEqual(['p2 pending', 'p1 pending', 'p1 planning']);
  });

  it('get the gateway, stand inside of middleware, and may fail', async () => {
    const seen: string[] = [];
    const { hooks, log } = hosted({
      middleware: [
        {
          name: 'around',
          hook: async (pass, event) => {
            seen.push(`in ${event.kind}`);
            await pass();
            seen.push('out');
          },
        },
      ],
      hooks: [
        { name: 'fine', on: ['success'], actions: ['other.Work'], run: (_event, gateway) => void seen.push(gateway.version) },
        { name: 'broken', on: ['success'], actions: ['other.Work'], run: async () => Promise.reject(new Error('a bug')) },
      ],
    });
    expect([hooks.kindsOf('other.Work'), hooks.kindsOf('other.Else')]).toEqual([new Set(['success']), undefined]);
    hooks.call(makePlanEvent('success', 'other.Work'));
    await hooks.settled();
    expect(seen).toEqual(['in success', '1', 'out', 'in success']);
    expect(log.errors).toEqual([expect.stringContaining('the hook broken failed')]);
  });
});

describe('phases', () => {
  it('of planning are entered from the outside in, and may be refused', async () => {
    const seen: string[] = [];
    const watch = (name: string): GatewayMiddleware => ({
      name,
      planPhase: async (pass) => {
        seen.push(name);
        seen.push(...(await pass()));
      },
    });
    const host = new PhaseHost([watch('outer'), watch('inner')], new ErrorLog());
    await host.planPhase(plan, async () => Promise.resolve(['demo.Work']));
    expect(seen).toEqual(['outer', 'inner', 'demo.Work', 'demo.Work']);
    const strict = new PhaseHost([{ name: 'strict', planPhase: async () => Promise.reject(new Error('not now')) }], new ErrorLog());
    await expect(strict.planPhase(plan, async () => Promise.resolve([]))).rejects.toThrow('not now');
    expect([new PhaseHost([], new ErrorLog()).wrapsPlanning, strict.wrapsPlanning]).toEqual([false, true]);
  });

  it('of finalizing begin at once, end when the plan rests, and begin anew after a resume', async () => {
    const seen: string[] = [];
    const log = new ErrorLog();
    const host = new PhaseHost(
      [
        {
          name: 'watch',
          finalizePhase: async (pass, { id }) => {
            seen.push(`begins ${id}`);
            await pass();
            seen.push('ends');
          },
        },
        {
          name: 'broken',
          finalizePhase: async (pass) => {
            await pass();
            throw new Error('a bug');
          },
        },
      ],
      log,
    );
    host.finalizeBegins(plan);
    expect(seen).toEqual(['begins p1']);
    host.finalizeEnds('p1');
    host.finalizeEnds('p1');
    await new Promise((resolve) => setImmediate(resolve));
    host.finalizeBegins(plan);
    expect(seen).toEqual(['begins p1', 'begins p1']);
    expect(log.errors).toHaveLength(1);
  });
});

it('an action that cannot be presented shows neither input nor output', () => {
  const log = new ErrorLog();
  const plugin = pluginWith({
    middleware: [
      {
        name: 'broken',
        present: () => {
          throw new Error('a bug');
        },
      },
    ],
  });
  const presenter = new PlanPresenter({ catalogue: { declarationOf: () => undefined }, stacks: new GatewayStacks([plugin]), log });
  const [view] = presenter.present([makePlanView([{ name: 'other.Work', input: { word: 'secret' }, output: { word: 'secret' } }])]);
  expect(view?.actions[0]).toMatchObject({ name: 'other.Work', input: {}, output: {}, humanizedState: 'success' });
  expect(log.errors).toHaveLength(1);
});

it('what an effect answers has to be JSON', async () => {
  const local = new LocalHost();
  const effects = (): object => ({ now: async () => Promise.resolve(new Date()), fine: async () => Promise.resolve({ is: 'fine' }) });
  const context = { log: new ErrorLog(), ownTls: { cert: null, key: null, ca: null }, stopped: local.stopped };
  local.add(pluginWith({ effects: effects as never }), {}, context);
  await expect(local.perform('demo.Any', 'now', {})).rejects.toThrow(
    'what the effect demo.now answered cannot be kept as JSON: value: Date',
  );
  expect(await local.perform('demo.Any', 'fine', {})).toEqual({ is: 'fine' });
});
