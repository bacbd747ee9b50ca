import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import {
  defineAction,
  defineGatewayMiddleware,
  defineLocalAction,
  defineMiddleware,
  definePlugin,
  doNotUse,
  extendAction,
  outputOf,
  planAction,
  planSelf,
  sequence,
  use,
  type ActionDefinition,
  type Middleware,
  type MiddlewareList,
  type Plugin,
} from '@dynflow/plugin';
import { PluginWorld, type PlanRecord } from '@dynflow/testing/plugin';
import { z } from 'zod';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';

const input = z.looseObject({});
const settings = { section: 'story', schema: z.object({}) };

/** Logs that it was entered and left, at each point that executors have. */
function logging(name: string, log: string[]): Middleware {
  const around = async <T>(point: string, pass: () => Promise<T>): Promise<T> => {
    log.push(`${name} ${point} before`);
    const answer = await pass();
    log.push(`${name} ${point} after`);
    return answer;
  };
  return defineMiddleware({
    name,
    delay: async (pass) => around('delay', pass),
    plan: async (pass) => around('plan', pass),
    run: async (pass) => around('run', pass),
    finalize: async (pass) => around('finalize', pass),
  });
}

describe('middleware around a delayed plan in a gateway', () => {
  const log: string[] = [];
  let lab: GatewayLab;

  beforeAll(async () => {
    const Work = defineAction({
      name: 'Work',
      input,
      plan: () => {
        log.push('plan');
        return [planSelf()];
      },
      run: async () => {
        log.push('run');
        return Promise.resolve({});
      },
      finalize: async () => {
        log.push('finalize');
        return Promise.resolve({});
      },
    });
    const watch = defineGatewayMiddleware({
      name: 'watch',
      planPhase: async (pass) => {
        log.push('plan_phase before');
        await pass();
        log.push('plan_phase after');
      },
      finalizePhase: async (pass) => {
        log.push('finalize_phase before');
        await pass();
        log.push('finalize_phase after');
        ended();
      },
    });
    let ended = (): void => undefined;
    const isEnded = new Promise<void>((resolve) => (ended = resolve));
    lab = await startGatewayLab(
      {},
      {
        plugins: [
          definePlugin({ name: 'story', version: '1', settings, actions: [Work], middleware: [logging('M', log)] }),
          definePlugin({ name: 'watcher', version: '1', settings, gateway: { middleware: [watch] } }),
        ],
      },
    );
    const request = { action: 'story.Work', input: {}, schedule: { startAtMs: Date.now() + 10 } };
    const { plan } = await lab.core.service.trigger(request);
    await lab.rested(plan);
    await isEnded;
  });
  afterAll(() => lab.core.stop());

  const between = (what: string, first: string, last: string): boolean =>
    log.indexOf(first) >= 0 && log.indexOf(first) < log.indexOf(what) && log.indexOf(what) < log.indexOf(last);

  it('MI1: delay is wrapped, before planning', () => {
    expect(log.slice(0, 2)).toEqual(['M delay before', 'M delay after']);
  });

  it('MI2: the planning phase encloses plan', () => {
    expect(between('plan', 'plan_phase before', 'plan_phase after')).toBe(true);
  });

  it('MI3: plan is wrapped around the action’s own', () => {
    expect(between('plan', 'M plan before', 'M plan after')).toBe(true);
  });

  it('MI4: run is wrapped', () => {
    expect(between('run', 'M run before', 'M run after')).toBe(true);
  });

  it('MI5: the finalize phase encloses finalize', () => {
    expect(between('finalize', 'finalize_phase before', 'finalize_phase after')).toBe(true);
  });

  it('MI6: the order of all of them is fixed', () => {
    const phase = (name: string): string[] => [`M ${name} before`, name, `M ${name} after`];
    expect(log.slice(2)).toEqual([
      ...['plan_phase before', ...phase('plan'), 'plan_phase after'],
      ...phase('run'),
      ...['finalize_phase before', ...phase('finalize'), 'finalize_phase after'],
    ]);
  });
});

describe('the order of middleware around a run', () => {
  /** Names of the middleware that a run of `Last`, the last of these actions, goes through from the outside in. */
  async function orderOf(
    plugin: MiddlewareList<Middleware>,
    base: MiddlewareList<Middleware>,
    derived: MiddlewareList<Middleware>,
  ): Promise<string> {
    const Base: ActionDefinition = defineAction({ name: 'Base', input, run: async () => Promise.resolve({}), middleware: base });
    const actions = [Base, extendAction(Base, { name: 'Last', middleware: derived })];
    const world = await PluginWorld.start(definePlugin({ name: 'story', version: '1', settings, actions, middleware: plugin }));
    order.length = 0;
    await world.run('story.Last');
    return order.join('');
  }
  const order: string[] = [];
  const noting = (name: string): Middleware =>
    defineMiddleware({
      name,
      run: async (pass) => {
        order.push(name);
        return pass();
      },
    });
  const [W, A, B, C] = ['W', 'A', 'B', 'C'].map(noting) as [Middleware, Middleware, Middleware, Middleware];

  it('MI7: inherited middleware is outermost', async () => {
    expect(await orderOf([], [A], [B])).toBe('AB');
  });

  it('MI8: the plugin’s is outside of the actions’', async () => {
    expect(await orderOf([W], [A], [B])).toBe('WAB');
  });

  it('MI9: before: puts one outside of another', async () => {
    expect(await orderOf([], [A, B], [use(C, { before: 'A' })])).toBe('CAB');
  });

  it('MI10: after: puts even one of the plugin’s inside of another', async () => {
    expect(await orderOf([use(W, { after: 'A' })], [A], [B])).toBe('AWB');
  });

  it('MI11: replace: takes another one’s place', async () => {
    expect(await orderOf([], [A, B], [use(C, { replace: 'A' })])).toBe('CB');
  });

  it('MI12: doNotUse leaves one out, inherited or own', async () => {
    expect(await orderOf([W], [A], [B, doNotUse('A'), doNotUse('B')])).toBe('W');
  });
});

describe('middleware and data', () => {
  const seen: JsonValue[] = [];
  const planned: JsonValue[] = [];
  let plan: PlanRecord;

  beforeAll(async () => {
    const observe = defineMiddleware({
      name: 'observe',
      run: async (pass, call) => {
        seen.push(call.input);
        const output = await pass();
        seen.push(output as JsonValue);
        return output;
      },
    });
    const change = defineMiddleware({
      name: 'change',
      delay: async (pass, call) => ({ ...(await pass()), ...call.input, word: 'changed' }),
    });
    const Work = defineAction({
      name: 'Work',
      input: z.object({ word: z.string() }),
      middleware: [observe, change],
      plan: ({ word }) => {
        planned.push(word);
        return [planSelf()];
      },
      run: async (context) => Promise.resolve({ said: context.input.word }),
    });
    const world = await PluginWorld.start(definePlugin({ name: 'story', version: '1', settings, actions: [Work] }));
    plan = await world.run('story.Work', { word: 'given' }, { schedule: { startAtMs: world.clock.now() + 60_000 } });
  });

  it('MI13: it sees the input before and the output after the run', () => {
    expect(seen).toEqual([{ word: 'changed' }, { said: 'changed' }]);
  });

  it('MI14: it may change the input in delay', () => {
    expect(plan.action(1).input).toEqual({ word: 'changed' });
  });

  it('MI15: which plan and run then see', () => {
    expect([planned, plan.output()]).toEqual([['changed'], { said: 'changed' }]);
  });
});

describe('what is presented', () => {
  let lab: GatewayLab;
  let plan: string;

  beforeAll(async () => {
    const shout = (value: JsonValue): JsonValue => {
      if (typeof value === 'string') {
        return value.toUpperCase();
      }
      return Array.isArray(value) ? value.map(shout) : value;
    };
    const loud = defineGatewayMiddleware({
      name: 'loud',
      present: (pass, view) =>
        pass({ ...view, input: Object.fromEntries(Object.entries(view.input).map(([key, value]) => [key, shout(value)])) }),
    });
    const Secretive = defineLocalAction({
      name: 'Secretive',
      input,
      run: (context) => ({ kind: 'done', output: { pin: '1234', seen: context.input as JsonObject } }),
      present: (view) => ({ ...view, output: { ...view.output, pin: '****' } }),
    });
    const Reader = defineLocalAction({
      name: 'Reader',
      input,
      run: (context) => ({ kind: 'done', output: { got: String(context.input['pin']) } }),
    });
    const Both = defineLocalAction({
      name: 'Both',
      input,
      plan: [
        sequence(
          planAction('story.Secretive', { words: ['one', ['two']] }, { as: 'first' }),
          planAction('story.Reader', { pin: outputOf('first', 'pin') }),
        ),
      ],
    });
    const plugin: Plugin = definePlugin({
      name: 'story',
      version: '1',
      settings,
      gateway: { actions: [Secretive, Reader, Both], middleware: [loud] },
    });
    lab = await startGatewayLab({}, { plugins: [plugin] });
    ({ plan } = await lab.core.service.trigger({ action: 'story.Both', input: {} }));
    await lab.rested(plan);
  });
  afterAll(() => lab.core.stop());

  const presented = async (): Promise<JsonValue[]> => {
    const [view] = await lab.core.service.plans([plan]);
    return (view?.actions ?? []).map((action) => ({ input: action.input, output: action.output }));
  };

  it('MI16: can be altered by middleware, deep inside', async () => {
    expect((await presented())[1]).toMatchObject({ input: { words: ['ONE', ['TWO']] } });
  });

  it('MI17: and by the action’s own filter', async () => {
    expect((await presented())[1]).toMatchObject({ output: { pin: '****' } });
  });

  it('MI18: while what is stored stays as it is', async () => {
    // What ran, and what the next action took from the store, has nothing of it.
    expect((await presented())[1]).toMatchObject({ output: { seen: { words: ['one', ['two']] } } });
    expect((await presented())[2]).toMatchObject({ output: { got: '1234' } });
  });
});
