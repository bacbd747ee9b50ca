import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  defineHook,
  defineLocalAction,
  definePlugin,
  extendAction,
  planAction,
  withoutHook,
  type HookRule,
  type LocalActionDefinition,
  type PlanEvent,
  type PlanEventKind,
  type TriggerRequest,
} from '@dynflow/plugin';
import { z } from 'zod';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';

/** What hooks were told, and a way to wait for it. */
class Told {
  readonly events: PlanEvent[] = [];
  #waiting: { plan: string; kind: PlanEventKind; resolve: () => void }[] = [];

  hook(name: string, on?: PlanEventKind[]): HookRule {
    const run = (event: PlanEvent): void => {
      this.events.push(event);
      this.#waiting = this.#waiting.filter(
        ({ plan, kind, resolve }) => plan !== event.plan || kind !== event.kind || resolve() !== undefined,
      );
    };
    return defineHook(on === undefined ? { name, run } : { name, on, run });
  }

  kindsOf(plan: string): PlanEventKind[] {
    return this.events.filter((event) => event.plan === plan).map(({ kind }) => kind);
  }

  async until(plan: string, kind: PlanEventKind): Promise<void> {
    if (!this.kindsOf(plan).includes(kind)) {
      await new Promise<void>((resolve) => this.#waiting.push({ plan, kind, resolve }));
    }
  }
}

const input = z.looseObject({});
const fine = (name: string, hooks: HookRule[]): LocalActionDefinition =>
  defineLocalAction({ name, input, hooks, run: () => ({ kind: 'done', output: {} }) });
const broken = (name: string, hooks: HookRule[]): LocalActionDefinition =>
  extendAction(fine(name, hooks), {
    name,
    run: () => ({ kind: 'failed', error: { errorClass: 'Broken', message: 'as it should', kind: 'final' } }),
  });

describe('hooks on the states of plans', () => {
  const told = new Told();
  let lab: GatewayLab;

  beforeAll(async () => {
    const Base = fine('Base', [told.hook('inherited', ['success']), told.hook('other', ['stopped'])]);
    const rootOnly = defineHook({
      name: 'root',
      on: ['success'],
      run: (event: PlanEvent): void => {
        rootCalls.push(`${event.action.name} ${event.isRootAction}`);
      },
    });
    const actions = [
      fine('Succeeds', [told.hook('end', ['success', 'failure'])]),
      broken('Pauses', [told.hook('pause', ['paused', 'success', 'failure'])]),
      extendAction(broken('PausesByStrategy', [told.hook('pause', ['paused'])]), { name: 'PausesByStrategy', rescueStrategy: 'Pause' }),
      fine('Delayed', [told.hook('all'), told.hook('end', ['success', 'failure'])]),
      fine('Throws', [
        {
          name: 'throws',
          on: ['success'],
          run: () => {
            throw new Error('a bug in a hook');
          },
        },
        told.hook('end', ['success']),
      ]),
      Base,
      extendAction(Base, { name: 'Inherits' }),
      extendAction(Base, { name: 'Disables', hooks: [withoutHook('inherited')] }),
      fine('Child', [rootOnly]),
      defineLocalAction({
        name: 'Family',
        input,
        hooks: [rootOnly, told.hook('end', ['success'])],
        plan: [planAction('story.Child', {}), planAction('story.Child', {})],
      }),
      fine('Everything', [told.hook('all'), told.hook('end', ['success'])]),
    ];
    lab = await startGatewayLab(
      {},
      {
        plugins: [
          definePlugin({ name: 'story', version: '1', settings: { section: 'story', schema: z.object({}) }, gateway: { actions } }),
        ],
      },
    );
  });
  const rootCalls: string[] = [];
  afterAll(() => lab.core.stop());

  const trigger = async (action: string, more: Partial<TriggerRequest> = {}): Promise<string> =>
    (await lab.core.service.trigger({ action: `story.${action}`, input: {}, ...more })).plan;

  it('HK1: a hook on success runs after a plan succeeded', async () => {
    const plan = await trigger('Succeeds');
    await told.until(plan, 'success');
    expect(told.kindsOf(plan)).toEqual(['success']);
  });

  it('HK2: a hook on paused runs when the plan pauses', async () => {
    const plan = await trigger('Pauses');
    await told.until(plan, 'paused');
    expect(told.kindsOf(plan)).toEqual(['paused']);
  });

  it('HK3: also when the rescue strategy decided to pause', async () => {
    const plan = await trigger('PausesByStrategy');
    await told.until(plan, 'paused');
    expect((await lab.rested(plan)).state).toBe('paused');
  });

  it('HK4: a hook on failure runs when a delayed plan is cancelled', async () => {
    const plan = await trigger('Delayed', { schedule: { startAtMs: Date.now() + 3_600_000 } });
    await lab.core.service.cancel(plan);
    await told.until(plan, 'failure');
    expect(told.kindsOf(plan).filter((kind) => kind === 'success' || kind === 'running')).toEqual([]);
    expect((await lab.rested(plan)).result).toBe('cancelled');
  });

  it('HK5: a hook that throws changes nothing', async () => {
    const plan = await trigger('Throws');
    await told.until(plan, 'success');
    expect((await lab.rested(plan)).result).toBe('success');
  });

  it('HK6: hooks hold for actions that are derived from theirs', async () => {
    const plan = await trigger('Inherits');
    await told.until(plan, 'stopped');
    expect(told.kindsOf(plan).toSorted()).toEqual(['stopped', 'success']);
  });

  it('HK7: a derived action can leave out an inherited hook', async () => {
    const plan = await trigger('Disables');
    await told.until(plan, 'stopped');
    expect(told.kindsOf(plan)).toEqual(['stopped']);
  });

  it('HK8: a hook can tell the root action from others', async () => {
    const plan = await trigger('Family');
    await told.until(plan, 'success');
    // Those of the children are called after those of the root; a second plan's come later still.
    await told.until(await trigger('Family'), 'success');
    expect(rootCalls.slice(0, 3)).toEqual(['story.Family true', 'story.Child false', 'story.Child false']);
  });

  it('HK9: a hook on pending runs once when a plan is made', async () => {
    const plan = await trigger('Everything');
    await told.until(plan, 'success');
    expect(told.kindsOf(plan).filter((kind) => kind === 'pending')).toHaveLength(1);
  });

  it('HK10: also once for a delayed plan', async () => {
    const plan = await trigger('Delayed', { schedule: { startAtMs: Date.now() + 20 } });
    await told.until(plan, 'success');
    expect(told.kindsOf(plan).filter((kind) => kind === 'pending' || kind === 'scheduled')).toEqual(['pending', 'scheduled']);
  });

  it('HK11: a hook without kinds runs at each state that the plan comes into', async () => {
    const plan = await trigger('Everything');
    await told.until(plan, 'success');
    expect(told.kindsOf(plan)).toEqual(['pending', 'planning', 'planned', 'running', 'stopped', 'success']);
  });
});
