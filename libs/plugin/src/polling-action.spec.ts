import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { definePollingAction, type PollingDefinition } from './polling-action.js';
import { StepFailure } from './run-context.js';
import { DemoWorld } from './spec-support/plugin-in-world.js';

/** The task elsewhere: done at 100, each poll moves it on by ten; a poll fails as long as it is told to. */
interface Outside {
  readonly calls: string[];
  failures: number;
  progress: number;
}

interface Story {
  readonly demo: DemoWorld;
  readonly outside: Outside;
  readonly plan: string;
}

const progressOf = (task: JsonValue): number => Number((task as JsonObject)['progress']);

async function polling(options: Partial<PollingDefinition<z.ZodObject>> = {}): Promise<Story> {
  const outside: Outside = { calls: [], failures: 0, progress: 0 };
  const action = definePollingAction({
    name: 'Poll',
    input: z.object({}),
    invoke: async () => {
      outside.calls.push('invoke');
      outside.progress = 0;
      return Promise.resolve({ progress: 0 });
    },
    poll: async (_, task) => {
      outside.calls.push('poll');
      if (outside.failures > 0) {
        outside.failures -= 1;
        return Promise.reject(new StepFailure('the other side does not answer', 'retryable'));
      }
      outside.progress = Math.min(100, Math.max(outside.progress, progressOf(task)) + 10);
      return Promise.resolve({ progress: outside.progress });
    },
    isDone: (task) => progressOf(task) >= 100,
    ...options,
  });
  const demo = new DemoWorld({ executor: [action] });
  const plan = await demo.world.trigger('demo.Poll');
  await demo.runReady();
  return { demo, outside, plan };
}

const stateOf = ({ demo, plan }: Story): JsonObject => ({
  state: demo.world.plan(plan).step(2).state,
  timers: demo.world.clock.pending,
  ...demo.output(plan),
});

async function steps(story: Story, count: number): Promise<number[]> {
  const took: number[] = [];
  for (let step = 0; step < count; step += 1) {
    took.push(await story.demo.step());
  }
  return took;
}

/** Polls fail until the action does, and somebody resumes it. */
async function resumed(failures: number): Promise<Story> {
  const story = await polling();
  story.outside.failures = 3;
  await steps(story, 3);
  story.outside.failures = failures;
  story.outside.calls.length = 0;
  await story.demo.world.ask((engine) => engine.resume(story.plan));
  await story.demo.runReady();
  return story;
}

describe('a polling action', () => {
  it('AC20: starts the task in its first run and keeps its data', async () => {
    const story = await polling();
    expect(story.outside.calls).toEqual(['invoke']);
    expect(stateOf(story)).toMatchObject({ state: 'suspended', task: { progress: 0 } });
  });

  describe('that goes on', () => {
    let story: Story;
    let afterNine: JsonObject;
    beforeAll(async () => {
      story = await polling();
      await steps(story, 9);
      afterNine = stateOf(story);
      await story.demo.step();
    });

    it('AC21: is suspended with a next timer while it is not done', () => {
      expect(afterNine).toMatchObject({ state: 'suspended', timers: 1, task: { progress: 90 } });
    });
    it('AC22: succeeds and leaves no timer when it is', () => {
      expect(stateOf(story)).toMatchObject({ state: 'success', timers: 0, task: { progress: 100 } });
    });
    it('counts every poll, the first one too', () => {
      expect(stateOf(story)).toMatchObject({ poll_attempts: { total: 10, failed: 0 } });
    });
  });

  it('AC23: begun again with a task polls it and starts none', async () => {
    const story = await resumed(0);
    expect(story.outside.calls).toEqual(['poll']);
    expect(stateOf(story)).toMatchObject({ state: 'suspended', task: { progress: 10 } });
  });

  it('AC24: begun again with a task that cannot be polled starts it anew', async () => {
    const story = await resumed(1);
    expect(story.outside.calls).toEqual(['poll', 'invoke']);
    expect(stateOf(story)).toMatchObject({ state: 'suspended', task: { progress: 0 }, poll_attempts: { total: 0, failed: 0 } });
  });

  describe('whose polls fail', () => {
    const seen: JsonObject[] = [];
    beforeAll(async () => {
      const story = await polling();
      story.outside.failures = 3;
      for (let poll = 0; poll < 3; poll += 1) {
        await story.demo.step();
        seen.push(stateOf(story));
      }
    });

    it('AC25: counts the first failure and goes on', () => {
      expect(seen[0]).toMatchObject({ state: 'suspended', timers: 1, poll_attempts: { failed: 1 } });
    });
    it('AC26: counts the second failure and goes on', () => {
      expect(seen[1]).toMatchObject({ state: 'suspended', timers: 1, poll_attempts: { failed: 2 } });
    });
    it('AC27: fails with the third, without a timer', () => {
      expect(seen[2]).toMatchObject({ state: 'error', timers: 0, poll_attempts: { failed: 3 } });
    });
  });

  it('forgets failures when a poll succeeds', async () => {
    const story = await polling();
    story.outside.failures = 2;
    await steps(story, 3);
    story.outside.failures = 2;
    await steps(story, 2);
    expect(stateOf(story)).toMatchObject({ state: 'suspended', poll_attempts: { total: 5, failed: 2 } });
  });

  it('AC28: waits longer between polls, level by level', async () => {
    const story = await polling({ intervalsMs: [1_000, 2_000], attemptsPerInterval: 2 });
    expect(await steps(story, 5)).toEqual([1_000, 1_000, 2_000, 2_000, 2_000]);
  });

  describe('with a time limit', () => {
    let story: Story;
    let took: number[];
    beforeAll(async () => {
      story = await polling({ intervalsMs: [2_000], timeoutMs: 5_000 });
      took = await steps(story, 3);
    });

    it('AC29: ends in error', () => {
      expect(stateOf(story)).toMatchObject({ state: 'error' });
      expect(story.demo.world.plan(story.plan).step(2).error).toMatchObject({ message: 'the task was not done after 5 s' });
    });
    it('AC30: at its moment, between two polls', () => {
      expect({ took, polls: story.outside.calls }).toEqual({ took: [2_000, 2_000, 1_000], polls: ['invoke', 'poll', 'poll'] });
    });
    it('has it again when it is resumed', async () => {
      await story.demo.world.ask((engine) => engine.resume(story.plan));
      await story.demo.runReady();
      expect(await steps(story, 3)).toEqual([2_000, 2_000, 1_000]);
    });
  });

  it('polls at once when it is told to, and then keeps to one chain of polls', async () => {
    const story = await polling({ intervalsMs: [1_000] });
    await story.demo.world.advance(400);
    await story.demo.world.ask((engine) => engine.sendEvent(story.plan, 2, { polling: 'poll' }));
    await story.demo.runReady();
    await steps(story, 3);
    // 400 at once, 1,000 out of date, 1,400, 2,400.
    expect(story.outside.calls).toEqual(['invoke', 'poll', 'poll', 'poll']);
  });

  it('goes on waiting when another event comes', async () => {
    const story = await polling({ intervalsMs: [1_000] });
    await story.demo.world.ask((engine) => engine.sendEvent(story.plan, 2, 'hello'));
    await story.demo.runReady();
    expect(stateOf(story)).toMatchObject({ state: 'suspended', timers: 1, task: { progress: 0 } });
    expect(story.outside.calls).toEqual(['invoke']);
  });

  it('adds what it has to say in the end to its output', async () => {
    const story = await polling({ isDone: () => true, onFinish: async (_, task) => Promise.resolve({ was: task }) });
    expect(stateOf(story)).toMatchObject({ state: 'success', was: { progress: 0 } });
  });

  it('says how far the task is', async () => {
    const story = await polling({ progressOf: (task) => progressOf(task) / 100 });
    await steps(story, 3);
    expect(story.demo.world.plan(story.plan).step(2).progress).toBeCloseTo(0.3);
  });
});

describe('the task of a polling action whose executor is lost', () => {
  it('is polled by the next one', async () => {
    const story = await polling();
    const { world } = story.demo;
    await world.advance(500);
    await world.claim();
    await world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
    await story.demo.runReady();
    expect(story.outside.calls).toEqual(['invoke', 'poll']);
    expect(stateOf(story)).toMatchObject({ state: 'suspended', task: { progress: 10 } });
  });

  it('is never started twice without a word', async () => {
    const outside: string[] = [];
    const action = definePollingAction({
      name: 'Poll',
      input: z.object({}),
      invoke: async () => Promise.resolve(outside.push('invoke')),
      poll: async () => Promise.resolve(1),
      isDone: () => false,
    });
    const demo = new DemoWorld({ executor: [action] });
    const plan = await demo.world.trigger('demo.Poll');
    await demo.world.claim();
    await demo.world.ask((engine) => engine.executorLost('demo', 'e1', () => true));
    await demo.runReady();
    expect(outside).toEqual([]);
    expect(demo.world.plan(plan).step(2).error).toMatchObject({ kind: 'unknown' });
    await demo.world.ask((engine) => engine.resume(plan));
    await demo.runReady();
    expect(outside).toEqual(['invoke']);
  });

  it('that failed to start is started by the next run', async () => {
    let calls = 0;
    const story = await polling({
      invoke: async () => {
        calls += 1;
        return calls === 1 ? Promise.reject(new Error('no')) : Promise.resolve({ progress: 0 });
      },
    });
    expect(stateOf(story)).toMatchObject({ state: 'error' });
    await story.demo.world.ask((engine) => engine.resume(story.plan));
    await story.demo.runReady();
    expect(stateOf(story)).toMatchObject({ state: 'suspended', task: { progress: 0 } });
  });
});

describe('cancelling a polling action', () => {
  it('that waits tells the task, which is polled on until it is done', async () => {
    const told: boolean[] = [];
    let isEnding = false;
    const story = await polling({
      cancel: async (_, __, { isForced }) => {
        told.push(isForced);
        isEnding = true;
        return Promise.resolve();
      },
      isDone: () => isEnding && told.length > 1,
    });
    await story.demo.world.ask((engine) => engine.cancel(story.plan));
    await story.demo.runReady();
    expect(told).toEqual([false]);
    await story.demo.step();
    expect(told).toEqual([false]);
    expect(stateOf(story)).toMatchObject({ state: 'suspended' });
    await story.demo.world.ask((engine) => engine.cancel(story.plan, { force: true }));
    await story.demo.runReady();
    expect(told).toEqual([false, true]);
    expect(stateOf(story)).toMatchObject({ state: 'success' });
  });

  it('by force a second time ends it where it is, whoever is away', async () => {
    const story = await polling({ cancel: async () => Promise.resolve() });
    for (let cancel = 0; cancel < 2; cancel += 1) {
      await story.demo.world.ask((engine) => engine.cancel(story.plan, { force: true }));
    }
    expect(story.demo.world.plan(story.plan).verdict).toBe('stopped/error');
  });

  it('that cannot tell its task ends it where it waits', async () => {
    const story = await polling();
    await story.demo.world.ask((engine) => engine.cancel(story.plan));
    expect(story.demo.world.plan(story.plan).step(2).error).toMatchObject({ code: 'DYN_CANCELLED' });
  });
});
