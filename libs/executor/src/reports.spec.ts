import { describe, expect, it } from 'vitest';
import { StepFailure, suspend } from '@dynflow/plugin';
import { UnavailableError } from '@dynflow/kernel';
import { z } from 'zod';
import { Gate, ManualClock, turns } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

describe('an outcome', () => {
  it('is sent again until the owner has applied it, and frees its slot before that', async () => {
    const clock = new ManualClock();
    const { owner } = await startSpecExecutor({ name: 'Noop', run: async () => Promise.resolve({ a: 1 }) }, { clock, slots: 1 });
    owner.appliesReports = false;
    await owner.run('p1');
    await owner.run('p2');
    await clock.advanceUntil(() => owner.reports.filter((report) => report.plan === 'p1').length === 3);
    const [first, second] = owner.reports.filter((report) => report.plan === 'p1');
    expect(second).toEqual(first);
    expect(owner.heartbeats.at(-1)?.held.map((held) => held.plan)).toEqual(['p1', 'p2']);
    owner.apply(owner.reports);
    await turns();
    const sent = owner.reports.length;
    await clock.pass(30);
    expect(owner.reports).toHaveLength(sent);
    expect(owner.heartbeats.at(-1)?.held).toEqual([]);
  });

  it('that the owner calls stale is forgotten', async () => {
    const clock = new ManualClock();
    const { owner, log } = await startSpecExecutor({ name: 'Noop', run: async () => Promise.resolve({}) }, { clock });
    owner.appliesReports = false;
    await owner.run('p1');
    owner.apply(owner.reports, 'stale');
    await clock.pass(30);
    expect(owner.reports).toHaveLength(1);
    expect(log.lines.some((line) => line.startsWith('warn') && line.includes('no longer waits'))).toBe(true);
  });

  it('of steps that end together travels in one message', async () => {
    const gate = new Gate();
    const { owner } = await startSpecExecutor({
      name: 'Wait',
      run: async () => {
        await gate.passed;
        return {};
      },
    });
    for (const plan of ['a', 'b', 'c']) {
      await owner.token(plan);
    }
    await owner.until(() => owner.claimRequests.length === 1);
    await turns();
    gate.open();
    await owner.until(() => owner.reports.length === 3);
    expect(owner.reportMessages.map((message) => message.reports.map((report) => report.plan))).toEqual([['a', 'b', 'c']]);
  });

  it.each<[string, () => Promise<never>, object]>([
    [
      'an error',
      async () => Promise.reject(new RangeError('no such disk')),
      { errorClass: 'RangeError', message: 'no such disk', kind: 'final' },
    ],
    [
      'a step failure',
      async () => Promise.reject(new StepFailure('no route', 'retryable')),
      { errorClass: 'StepFailure', message: 'no route', kind: 'retryable' },
    ],
    [
      'an error with a code',
      async () => Promise.reject(new UnavailableError('DYN_X', 'away')),
      { errorClass: 'UnavailableError', message: 'away', code: 'DYN_X' },
    ],
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- plugins are not linted by us
    ['something thrown', async () => Promise.reject('just a word'), { errorClass: 'Error', message: 'just a word' }],
  ])('is failed after %s, without its stack', async (_what, run, error) => {
    const { owner } = await startSpecExecutor({ name: 'Fail', run });
    const outcome = await owner.run('p1');
    expect(outcome).toMatchObject({ kind: 'failed', error });
    expect(JSON.stringify(outcome)).not.toContain('.spec.ts');
  });

  it('keeps the output of a step failure', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Fail',
      run: async () => Promise.reject(new StepFailure('half done', 'unknown', { done: 3 })),
    });
    expect(await owner.run('p1')).toEqual({
      kind: 'failed',
      error: { errorClass: 'StepFailure', message: 'half done', kind: 'unknown' },
      output: { done: 3 },
    });
  });

  it.each<[string, unknown, string]>([
    ['a function', { hosts: [{ run: () => 1 }] }, 'output.hosts.0.run: a function'],
    ['a number that JSON does not know', { ratio: Number.NaN }, 'output.ratio: NaN'],
    ['a date', { when: new Date(0) }, 'output.when: Date'],
    ['nothing', undefined, 'got undefined'],
    ['a list', [1], 'got an array'],
  ])('is failed with the place when the run returned %s', async (_what, output, message) => {
    const { owner } = await startSpecExecutor({ name: 'Odd', run: async () => Promise.resolve(output as never) });
    expect(await owner.run('p1')).toMatchObject({
      kind: 'failed',
      error: { errorClass: 'InvalidOutputError', message: expect.stringContaining(message) },
    });
  });

  it('is failed when its output is larger than a message may be', async () => {
    const { owner } = await startSpecExecutor({ name: 'Big', run: async () => Promise.resolve({ text: 'x'.repeat(600 * 1024) }) });
    expect(await owner.run('p1')).toMatchObject({ kind: 'failed', error: { errorClass: 'OutputTooLargeError' } });
  });

  it('names the field of an input that does not fit, and the code is not called', async () => {
    let calls = 0;
    const { owner } = await startSpecExecutor({
      name: 'Strict',
      input: z.object({ host: z.object({ port: z.number() }) }),
      run: async () => {
        calls += 1;
        return Promise.resolve({});
      },
    });
    const outcome = await owner.run('p1', { input: { host: { port: 'hunter2' } } });
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: { errorClass: 'InvalidInputError', message: expect.stringMatching(/^input\.host\.port: /) },
    });
    expect(JSON.stringify(outcome)).not.toContain('hunter2');
    expect(calls).toBe(0);
  });

  it('says so when the executor has another version of the action', async () => {
    const { owner } = await startSpecExecutor({ name: 'New', version: 2, run: async () => Promise.resolve({}) });
    expect(await owner.run('p1', { actionVersion: 1 })).toMatchObject({
      kind: 'failed',
      error: { kind: 'retryable', message: expect.stringContaining('version 1') },
    });
  });

  it('can be a suspension, with which the step is parked', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Poll',
      run: async (context) =>
        Promise.resolve(
          suspend({
            checkpoint: { polls: Number((context.checkpoint as { polls: number }).polls) + 1 },
            waitingFor: 'the host',
            wakeAfterMs: 60_000,
          }),
        ),
    });
    expect(await owner.run('p1', { checkpoint: { polls: 4 } })).toEqual({
      kind: 'suspended',
      checkpoint: { polls: 5 },
      waitingFor: 'the host',
      wakeAfterMs: 60_000,
    });
  });
});

describe('updates while a step runs', () => {
  it('are numbered reports that come before the outcome, as they were when made', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Work',
      run: async (context) => {
        const counts = { done: 1 };
        context.update({ output: { counts }, checkpoint: { at: 1 } });
        counts.done = 2;
        await turns();
        context.update({ output: { other: true } });
        return { exit_status: 0 };
      },
    });
    await owner.run('p1');
    expect(owner.reports.map(({ number, outcome }) => ({ number, outcome }))).toEqual([
      { number: 1, outcome: { kind: 'checkpoint', output: { counts: { done: 1 } }, checkpoint: { at: 1 } } },
      { number: 2, outcome: { kind: 'checkpoint', output: { other: true } } },
      { number: 3, outcome: { kind: 'done', output: { exit_status: 0 } } },
    ]);
  });

  it('of one turn become one report', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Work',
      run: async (context) => {
        for (let index = 1; index <= 100; index += 1) {
          context.update({ output: { [`k${index % 3}`]: index }, ...(index % 2 === 0 ? { checkpoint: index } : {}) });
        }
        await turns();
        return {};
      },
    });
    await owner.run('p1');
    expect(owner.reports.map((report) => report.outcome)).toEqual([
      { kind: 'checkpoint', output: { k0: 99, k1: 100, k2: 98 }, checkpoint: 100 },
      { kind: 'done', output: {} },
    ]);
  });

  it('keep their order when the queue is away for a while', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner, bus } = await startSpecExecutor(
      {
        name: 'Work',
        run: async (context) => {
          context.update({ output: { a: 1 } });
          await gate.passed;
          context.update({ output: { a: 2 } });
          await turns();
          return { b: 3 };
        },
      },
      { clock },
    );
    const enqueue = bus.enqueue.bind(bus);
    let isAway = true;
    bus.enqueue = async (subject, message) => {
      if (isAway && subject.includes('.inbox.')) {
        throw new Error('the queue is away');
      }
      return enqueue(subject, message);
    };
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await turns();
    gate.open();
    await turns(30);
    expect(owner.reports).toEqual([]);
    isAway = false;
    await clock.advanceUntil(() => owner.reports.length === 2);
    expect(owner.reports.map(({ number, outcome }) => ({ number, outcome }))).toEqual([
      { number: 1, outcome: { kind: 'checkpoint', output: { a: 2 } } },
      { number: 2, outcome: { kind: 'done', output: { b: 3 } } },
    ]);
  });
});
