import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import {
  declarationOf,
  defineAction,
  defineLocalAction,
  definePlugin,
  descendantsOf,
  extendAction,
  outputsOf,
  planAction,
  planSelf,
  sequence,
  suspend,
  type LocalActionDefinition,
  type PlanView,
  type Plugin,
} from '@dynflow/plugin';
import { PluginWorld, assertVerdict, type PlanRecord } from '@dynflow/testing/plugin';
import { z } from 'zod';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';
import { present } from './stories.js';

const input = z.looseObject({});
const settings = { section: 'story', schema: z.object({}) };
const done = (name: string, more: Partial<LocalActionDefinition> = {}): LocalActionDefinition =>
  extendAction(defineLocalAction({ name, input, run: () => ({ kind: 'done', output: {} }) }) as LocalActionDefinition, { name, ...more });
const local = (...actions: LocalActionDefinition[]): Plugin =>
  definePlugin({ name: 'story', version: '1', settings, gateway: { actions } });

async function viewOf(lab: GatewayLab, plan: string): Promise<PlanView> {
  const [view] = await lab.core.service.plans([plan]);
  return present(view);
}

describe('an action whose plugin is gone', () => {
  let folder: string;
  let view: PlanView;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'actions-'));
    const env = { DYNFLOW_DATABASE_URL: `sqlite:${join(folder, 'plans.sqlite')}` };
    const before = await startGatewayLab(env, { plugins: [local(done('Gone', { stateNames: { success: 'all well' } }))] });
    const { plan } = await before.core.service.trigger({ action: 'story.Gone', input: { word: 'kept' } });
    await before.rested(plan);
    await before.core.stop();
    const after = await startGatewayLab(env);
    view = await viewOf(after, plan);
    await after.core.stop();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('AC1: keeps its name when it is loaded', () => {
    expect(view.actions.map(({ name }) => name)).toEqual(['story.Gone']);
  });

  it('AC2: can still be shown as an action', () => {
    expect(view.actions[0]).toMatchObject({ id: 1, runStepId: 2, input: { word: 'kept' }, output: {}, humanizedState: 'success' });
  });
});

describe('descendants of an action', () => {
  const Base = done('Base');
  const Child = extendAction(Base, { name: 'Child' });
  const found = descendantsOf(Base, [Base, Child, done('Other')]).map(({ name }) => name);

  it('AC3: can be listed', () => {
    expect(found).toContain('Child');
  });

  it('AC4: are only those that are derived from it', () => {
    expect(found).toHaveLength(1);
  });
});

describe('an action that subscribes', () => {
  const Audit = done('Audit', { subscribesTo: ['story.Trigger', 'story.Trigger'] });
  const plugin = local(done('Trigger'), Audit);
  let names: string[];

  beforeAll(async () => {
    const lab = await startGatewayLab({}, { plugins: [plugin] });
    const { plan } = await lab.core.service.trigger({ action: 'story.Trigger', input: {} });
    await lab.rested(plan);
    names = (await viewOf(lab, plan)).actions.map(({ name }) => name);
    await lab.core.stop();
  });

  it('AC5: can be asked to what', () => {
    const declaration = declarationOf(plugin, {}).actions.find(({ name }) => name === 'story.Audit');
    expect(new Set(declaration?.subscribesTo)).toEqual(new Set(['story.Trigger']));
  });

  it('AC6: is found by its trigger', () => {
    expect(names).toContain('story.Audit');
  });

  it('AC7: once', () => {
    expect(names.filter((name) => name === 'story.Audit')).toHaveLength(1);
  });
});

describe('what is shown of a plan', () => {
  let running: PlanView;
  let ended: PlanView;

  beforeAll(async () => {
    const Part = defineLocalAction({
      name: 'Part',
      input: z.object({ n: z.number() }),
      run: (context) => ({ kind: 'done', output: { n: context.input.n } }),
    });
    const Waiting = defineLocalAction({
      name: 'Waiting',
      input,
      stateNames: { suspended: 'waiting' },
      run: ({ event }) =>
        event === undefined ? { kind: 'suspended', checkpoint: null, waitingFor: 'an event' } : { kind: 'done', output: {} },
    });
    const Root = defineLocalAction({
      name: 'Root',
      input,
      plan: [
        sequence(
          ...[1, 2].map((n) => planAction('story.Part', { n })),
          planAction('story.Waiting', {}),
          planAction('story.Part', { n: 3 }),
        ),
      ],
    });
    const lab = await startGatewayLab({}, { plugins: [local(Part as LocalActionDefinition, Waiting, Root)] });
    const { plan } = await lab.core.service.trigger({ action: 'story.Root', input: {} });
    running = await viewOf(lab, plan);
    const waiting = present(running.actions.find(({ name }) => name === 'story.Waiting'));
    await lab.core.service.sendEvent(plan, present(waiting.runStepId), {});
    await lab.rested(plan);
    ended = await viewOf(lab, plan);
    await lab.core.stop();
  });

  it('AC8: has its root action under the name that it was planned by', () => {
    expect(ended.actions.find(({ planStepId }) => planStepId === ended.rootPlanStepId)?.name).toBe('story.Root');
  });

  it('AC9: gives the outputs of all its actions of a kind', () => {
    expect(outputsOf(ended, 'story.Part')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('AC12: has states in the words of an action’s author', () => {
    expect(running.actions.find(({ name }) => name === 'story.Waiting')?.humanizedState).toBe('waiting');
  });
});

describe('what cannot be stored', () => {
  const impossible = { at: new Date() } as unknown as JsonObject;
  const run = async (action: Parameters<typeof defineAction>[0]): Promise<PlanRecord> => {
    const world = await PluginWorld.start(definePlugin({ name: 'story', version: '1', settings, actions: [action] }));
    return world.run('story.Wrong');
  };

  it('AC10: as an input fails the planning, and is named', async () => {
    const plan = await run({ name: 'Wrong', input, plan: () => [planSelf(impossible)] });
    assertVerdict(plan, 'stopped/error');
    expect(plan.step(1).error).toMatchObject({ code: 'DYN_INVALID_PLAN', message: expect.stringContaining('plan.0.input.at: Date') });
  });

  it('AC11: as an output fails the run, and is named', async () => {
    const plan = await run({ name: 'Wrong', input, run: async () => Promise.resolve(impossible) });
    assertVerdict(plan, 'paused/error');
    expect(plan.step(2).error).toMatchObject({ code: 'DYN_INVALID_OUTPUT', message: expect.stringContaining('output.at: Date') });
  });
});

describe('output that is written', () => {
  const texts: string[] = [];

  beforeAll(async () => {
    // Speaks in its first and second run, and is silent in its third.
    const Talk = defineAction({
      name: 'Talk',
      input,
      chunksAs: 'lines',
      run: async ({ write, checkpoint }) => {
        const number = Number(checkpoint ?? 1);
        if (number < 3) {
          await write('stdout', `run ${number}; `);
        }
        return suspend({ checkpoint: number + 1, waitingFor: 'the next', wakeAfterMs: 1_000 });
      },
    });
    const world = await PluginWorld.start(definePlugin({ name: 'story', version: '1', settings, actions: [Talk] }));
    const { row } = await world.plan('story.Talk');
    texts.push(world.text(row.id));
    await world.runReady();
    texts.push(world.text(row.id));
    for (let second = 0; second < 2; second += 1) {
      await world.advance(1_000);
      texts.push(world.text(row.id));
    }
  });

  it('AC76: is none while it is planned', () => {
    expect(texts[0]).toBe('');
  });

  it('AC77: adds up over its runs', () => {
    expect(texts.slice(1, 3)).toEqual(['run 1; ', 'run 1; run 2; ']);
  });

  it('AC78: stays as it is after a run that writes none', () => {
    expect(texts[3]).toBe(texts[2]);
  });
});
