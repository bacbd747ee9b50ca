import { beforeAll, describe, expect, it } from 'vitest';
import { isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import {
  currentStepOf,
  defineAction,
  definePlugin,
  definePollingAction,
  outputsOf,
  planAction,
  planSelf,
  sequence,
  type ActionDefinition,
} from '@dynflow/plugin';
import { makePlanView } from '@dynflow/plugin/testing';
import {
  PluginWorld,
  assertActionPlanned,
  assertActionPlannedWith,
  assertFinalizePhase,
  assertOutput,
  assertRunPhase,
  assertVerdict,
  refuteActionPlanned,
  refuteFinalizePhase,
  refuteRunPhase,
  type PlanRecord,
} from '@dynflow/testing/plugin';
import { z } from 'zod';

const Work = defineAction({
  name: 'Work',
  input: z.object({ loud: z.boolean() }),
  run: async ({ input, output }) => Promise.resolve({ ...output, said: input.loud ? 'HELLO' : 'hello', input }),
  finalize: async ({ input, output }) => Promise.resolve({ finalInput: input, finalSaid: output['said'] ?? null }),
});
const Parent = defineAction({
  name: 'Parent',
  input: z.object({}),
  plan: [sequence(planAction('demo.Work', { loud: true }), planAction('other.Away', { tag: 'a', n: 1 }))],
});

const world = async (...actions: ActionDefinition[]): Promise<PluginWorld> =>
  PluginWorld.start(definePlugin({ name: 'demo', version: '1', settings: { section: 'demo', schema: z.object({}) }, actions }));

describe('a planned action', () => {
  let plan: PlanRecord;
  beforeAll(async () => {
    plan = await (await world(Work)).plan('demo.Work', { loud: true });
  });

  it('TS1: has its plan step behind it, with its input', () => {
    expect(plan.step(1)).toMatchObject({ kind: 'plan', state: 'success', action: 1 });
    expect(plan.action(1).input).toEqual({ loud: true });
  });

  it('TS2: belongs to its plan', () => {
    expect(plan.action(1)).toMatchObject({ plan: plan.row.id, planStep: 1, callerAction: null });
  });

  it('TS3: has a run and a finalize phase, which can be asserted', () => {
    expect(assertRunPhase(plan, 'demo.Work').runStep).toBe(2);
    expect(assertFinalizePhase(plan, 'demo.Work').finalizeStep).toBe(3);
  });
});

describe('planned children', () => {
  let plan: PlanRecord;
  beforeAll(async () => {
    const made = await world(Work, Parent);
    made.stub('other.Away', {}, ({ input }) => ({ kind: 'done', output: { tagged: input['tag'] ?? null } }));
    plan = await made.run('demo.Parent');
  });

  it('TS4: can be asserted, and refuted', () => {
    expect(assertActionPlanned(plan, 'demo.Work')).toHaveLength(1);
    expect(() => refuteActionPlanned(plan, 'demo.None')).not.toThrow();
    expect(() => refuteActionPlanned(plan, 'demo.Work')).toThrow('was planned');
    expect(() => assertActionPlanned(plan, 'demo.None')).toThrow('was not planned');
  });

  it('TS5: of a plugin that is not here are stood in for', () => {
    expect(assertOutput(plan, 'other.Away', { tagged: 'a' }).name).toBe('other.Away');
    assertVerdict(plan, 'stopped/success');
  });

  it('TS17: a planning-only action has no input, run or finalize phase of its own', () => {
    expect(plan.action(1).input).toEqual({});
    expect(() => refuteRunPhase(plan, 'demo.Parent')).not.toThrow();
    expect(() => refuteFinalizePhase(plan, 'demo.Parent')).not.toThrow();
  });

  it('TS18: are matched by their exact input', () => {
    expect(assertActionPlannedWith(plan, 'demo.Work', { loud: true }).id).toBe(2);
    expect(() => assertActionPlannedWith(plan, 'demo.Work', { loud: false })).toThrow('not with this input');
  });

  it('TS19: are matched by what holds for their input', () => {
    expect(assertActionPlannedWith(plan, 'other.Away', ({ n }) => n === 1).id).toBe(3);
    expect(() => assertActionPlannedWith(plan, 'other.Away', ({ n }) => n === 2)).toThrow('not with this input');
  });

  it('TS20: are matched however the keys of their input are ordered', () => {
    expect(assertActionPlannedWith(plan, 'other.Away', { n: 1, tag: 'a' }).id).toBe(3);
  });

  it('TS21: a run phase is matched by what holds for its input', () => {
    expect(assertRunPhase(plan, 'demo.Work', ({ loud }) => loud === true).id).toBe(2);
    expect(() => assertRunPhase(plan, 'demo.Work', ({ loud }) => loud === false)).toThrow('has another input');
  });

  it('TS22: the absence of a phase can be asserted, too', () => {
    expect(() => refuteFinalizePhase(plan, 'other.Away')).not.toThrow();
    expect(() => refuteRunPhase(plan, 'demo.Work')).toThrow('has a run phase');
    expect(() => refuteFinalizePhase(plan, 'demo.Work')).toThrow('has a finalize phase');
  });
});

it('TS6: an action can be shown with a given output', () => {
  const view = makePlanView([{ name: 'demo.Work', input: { loud: true }, output: { said: 'HELLO' }, state: 'suspended' }]);
  const [action] = view.actions;
  expect(outputsOf(view, 'demo.Work')).toEqual([{ said: 'HELLO' }]);
  expect(action && currentStepOf(view, action)).toMatchObject({ kind: 'run', state: 'suspended' });
});

describe('a run action', () => {
  let plan: PlanRecord;
  beforeAll(async () => {
    plan = await (await world(Work)).run('demo.Work', { loud: false });
  });

  it('TS7: ran with the input that it was planned with', () => {
    expect(plan.output()).toMatchObject({ input: { loud: false } });
  });

  it('TS8: has a step of its own for it', () => {
    const { planStep, runStep } = plan.action(1);
    expect(runStep).not.toBe(planStep);
    expect(plan.step(Number(runStep))).toMatchObject({ kind: 'run', state: 'success' });
  });

  it('TS15: finalized with the same input and output', () => {
    expect(plan.output()).toMatchObject({ finalInput: { loud: false }, finalSaid: 'hello' });
  });

  it('TS16: has a step of its own for that, with its effect', () => {
    const { runStep, finalizeStep } = plan.action(1);
    expect(finalizeStep).not.toBe(runStep);
    expect(plan.step(Number(finalizeStep))).toMatchObject({ kind: 'finalize', state: 'success' });
    expect(Object.keys(plan.output())).toContain('finalSaid');
  });

  it('TS23: has an output for each input', async () => {
    expect(assertOutput(plan, 'demo.Work', ({ said }) => said === 'hello').id).toBe(1);
    const loud = await (await world(Work)).run('demo.Work', { loud: true });
    expect(assertOutput(loud, 'demo.Work', ({ said }) => said === 'HELLO').id).toBe(1);
    expect(() => assertOutput(loud, 'demo.Work', ({ said }) => said === 'hello')).toThrow('no "demo.Work" has this output');
  });
});

const progressOf = (task: JsonValue): number => (isJsonObject(task) ? Number(task['progress']) : 0);

/** Ten percent a poll, each second. */
const pollingAction = (): ActionDefinition => {
  const action = definePollingAction({
    name: 'Poll',
    input: z.object({}),
    intervalsMs: [1_000],
    invoke: async () => Promise.resolve({ progress: 0 }),
    poll: async (_, task) => Promise.resolve({ progress: progressOf(task) + 10 }),
    isDone: (task) => progressOf(task) >= 100,
    progressOf: (task) => progressOf(task) / 100,
  });
  return action as ActionDefinition;
};

describe('a polling action under a manual clock', () => {
  const seen: { task: JsonValue; attempts: JsonObject; progress: number; state: string }[] = [];

  beforeAll(async () => {
    const made = await world(pollingAction());
    const { row } = await made.plan('demo.Poll');
    const look = (): void => {
      const plan = made.record(row.id);
      const { task = null, poll_attempts: attempts } = plan.output();
      const { progress, state } = plan.step(2);
      seen.push({ task, attempts: (attempts ?? {}) as JsonObject, progress, state });
    };
    await made.runReady();
    look();
    for (let second = 0; second < 3; second += 1) {
      await made.advance(1_000);
    }
    look();
    await made.sendEvent(row.id, 2, { polling: 'poll' });
    await made.sendEvent(row.id, 2, { polling: 'poll' });
    look();
    for (let second = 0; second < 5; second += 1) {
      await made.advance(1_000);
    }
    look();
  });

  it('TS9: has the first data after its first run, and no progress', () => {
    expect(seen[0]).toMatchObject({ task: { progress: 0 }, progress: 0, state: 'suspended' });
  });

  it('TS10: after three steps of time has been asked three times', () => {
    expect(seen[1]).toMatchObject({ task: { progress: 30 }, attempts: { total: 3 } });
  });

  it('TS11: after two polls by hand has been asked twice more', () => {
    expect(seen[2]).toMatchObject({ task: { progress: 50 }, attempts: { total: 5 } });
  });

  it('TS12: tells its progress after each', () => {
    expect([seen[1]?.progress, seen[2]?.progress]).toEqual([0.3, 0.5]);
  });

  it('TS13: is done after ten polls', () => {
    expect(seen[3]).toMatchObject({ task: { progress: 100 }, attempts: { total: 10 }, progress: 1, state: 'success' });
  });

  it('TS14: and none of them failed', () => {
    expect(seen.map(({ attempts }) => attempts['failed'] ?? 0)).toEqual([0, 0, 0, 0]);
  });
});

describe('a world in one thread', () => {
  const failing = (rescueStrategy: 'Pause' | 'Skip'): ActionDefinition =>
    defineAction({
      name: 'Broken',
      input: z.object({}),
      rescueStrategy,
      run: async () => Promise.reject(new Error('as it should')),
    }) as ActionDefinition;

  it('TS24: ends a plan beside appointments that are not its own', async () => {
    const made = await world(Work);
    let isKept = false;
    made.clock.at(made.clock.now() + 1, () => (isKept = true));
    assertVerdict(await made.run('demo.Work', { loud: true }), 'stopped/success');
    expect([isKept, made.clock.pending]).toEqual([false, 1]);
  });

  it('TS25: runs a plan until it is stopped', async () => {
    const plan = await (await world(Work)).run('demo.Work', { loud: true });
    expect(plan.verdict).toBe('stopped/success');
  });

  it('TS26: pauses a plan with an error', async () => {
    const plan = await (await world(failing('Pause'))).run('demo.Broken');
    expect(plan.verdict).toBe('paused/error');
  });

  it('TS27: polls to the end', async () => {
    const plan = await (await world(pollingAction())).run('demo.Poll');
    expect([plan.verdict, plan.output()['task']]).toEqual(['stopped/success', { progress: 100 }]);
  });

  it('TS28: skips by itself where the strategy says so', async () => {
    const Root = defineAction({ name: 'Root', input: z.object({}), plan: [planSelf(), planAction('demo.Broken', {})] });
    const plan = await (await world(failing('Skip'), Root)).run('demo.Root');
    expect(plan.verdict).toBe('stopped/warning');
  });
});
