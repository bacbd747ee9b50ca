import { describe, expect, it } from 'vitest';
import { workQueues } from '@dynflow/bus';
import { subjects } from '@dynflow/contracts';
import { definePlugin } from '@dynflow/plugin';
import { z } from 'zod';
import { Gate, ManualClock, turns } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

const noop = async (): Promise<Record<string, never>> => Promise.resolve({});

describe('a step on its way through an executor', () => {
  it('is announced for, claimed, run, and reported with its output', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Greet',
      chunksAs: 'result',
      run: async (context) => {
        await context.write('stdout', `Hello ${String((context.input as { name: string }).name)}\n`);
        return { exit_status: 0 };
      },
    });
    const outcome = await owner.run('p1', { input: { name: 'Ada' } });
    expect(outcome).toEqual({ kind: 'done', output: { exit_status: 0 } });
    expect(owner.text('p1')).toBe('Hello Ada\n');
    expect(owner.manifests).toHaveLength(1);
    expect(owner.manifests[0]).toMatchObject({
      executor: 'one',
      site: 'default',
      slots: 4,
      health: { state: 'running' },
      declaration: { plugin: 'spec_plugin', actions: [{ name: 'spec_plugin.Greet', chunksAs: 'result' }] },
    });
    expect(owner.reports[0]).toMatchObject({ plan: 'p1', step: 2, attempt: 1, number: 1, claim: owner.claimOf('p1') });
  });

  it('has the finalize phase run by the finalize code', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Sum',
      run: noop,
      finalize: async (context) => Promise.resolve({ total: Number(context.output['a']) + 1 }),
    });
    expect(await owner.run('p1', { phase: 'finalize', output: { a: 41 } })).toEqual({ kind: 'done', output: { total: 42 } });
  });
});

describe('claims', () => {
  it('that fall together go in one request for each shard', async () => {
    const { owner, executor, bus } = await startSpecExecutor({ name: 'Noop', run: noop }, { slots: 8 });
    await bus.ensureWorkQueue(workQueues.inbox(3));
    await executor.announced;
    await turns();
    for (const plan of ['a', 'b', 'c', 'd']) {
      await owner.token(plan, { shard: plan === 'd' ? 3 : 0 });
    }
    await owner.until(() => owner.claimRequests.length === 2);
    expect(owner.claimRequests.map((request) => request.claims.map((claim) => claim.plan))).toEqual([['a', 'b', 'c'], ['d']]);
    const ids = owner.claimRequests.flatMap((request) => request.claims.map((claim) => claim.claim));
    expect(new Set(ids).size).toBe(4);
  });

  it('are never more than the slots, and go on when one is free', async () => {
    const gates = new Map<string, Gate>();
    const { owner } = await startSpecExecutor(
      {
        name: 'Wait',
        run: async (context) => {
          const gate = new Gate();
          gates.set(context.plan, gate);
          await gate.passed;
          return {};
        },
      },
      { slots: 2 },
    );
    for (const plan of ['a', 'b', 'c', 'd', 'e']) {
      await owner.token(plan);
    }
    const plansClaimed = (): string[] => owner.claimRequests.flatMap((request) => request.claims.map((claim) => claim.plan));
    await owner.until(() => plansClaimed().length === 2);
    await turns();
    expect(plansClaimed()).toEqual(['a', 'b']);
    expect([...gates.keys()]).toEqual(['a', 'b']);
    gates.get('b')?.open();
    await owner.until(() => plansClaimed().length === 3);
    await turns();
    expect(plansClaimed()).toEqual(['a', 'b', 'c']);
    for (const plan of ['a', 'c', 'd', 'e']) {
      await owner.until(() => plansClaimed().includes(plan));
      await turns();
      gates.get(plan)?.open();
    }
    expect((await owner.outcome('e')).kind).toBe('done');
  });

  it('share the slots over the queues of the plugin', async () => {
    let running = 0;
    let most = 0;
    const run = async (): Promise<Record<string, never>> => {
      running += 1;
      most = Math.max(most, running);
      await turns(3);
      running -= 1;
      return {};
    };
    const plugin = definePlugin({
      name: 'spec_plugin',
      version: '1.0.0',
      settings: { section: 'spec', schema: z.object({}) },
      actions: [
        { name: 'Fast', queue: 'fast', input: z.object({}), run },
        { name: 'Slow', queue: 'slow', input: z.object({}), run },
      ],
    });
    const { owner } = await startSpecExecutor({ name: 'Fast' }, { plugin, slots: 1, queues: ['fast', 'slow'] });
    for (let index = 0; index < 10; index += 1) {
      await owner.token(`f${index}`, { queue: 'fast' });
      await owner.token(`s${index}`, { queue: 'slow' });
    }
    await owner.until(() => owner.reports.length === 20);
    expect(most).toBe(1);
    expect(new Set(owner.reports.map((report) => report.plan)).size).toBe(20);
  });

  it('that are refused run nothing and free their slot', async () => {
    const ran: string[] = [];
    const { owner } = await startSpecExecutor(
      {
        name: 'Noop',
        run: async (context) => {
          ran.push(context.plan);
          return Promise.resolve({});
        },
      },
      { slots: 1 },
    );
    owner.grantOrRefuse = (claim) =>
      claim.plan === 'stale' ? { claim: claim.claim, result: 'refused', reason: 'attempt 2 is due' } : owner.grant(claim);
    await owner.token('stale');
    await owner.token('fresh');
    await owner.outcome('fresh');
    expect(ran).toEqual(['fresh']);
  });

  it('whose answer is lost are asked again with the same id', async () => {
    const { owner } = await startSpecExecutor({ name: 'Noop', run: noop }, { tuning: { claimRetriesMs: [0, 0, 0] } });
    let lost = 2;
    owner.answerClaims = async (request) => {
      if (lost-- > 0) {
        throw new Error('the answer got lost');
      }
      return owner.answer(request);
    };
    await owner.run('p1');
    expect(owner.claimRequests).toHaveLength(3);
    expect(new Set(owner.claimRequests.map((request) => request.claims[0]?.claim)).size).toBe(1);
    expect(owner.reports).toHaveLength(1);
  });

  it('that nobody answers give the token back, and are the same when it comes again', async () => {
    const { owner } = await startSpecExecutor({ name: 'Noop', run: noop }, { slots: 1, tuning: { claimRetriesMs: [], tokenRetryMs: 0 } });
    let lost = 1;
    owner.answerClaims = async (request) => {
      if (lost-- > 0) {
        throw new Error('the answer got lost');
      }
      return owner.answer(request);
    };
    await owner.run('p1');
    const ids = owner.claimRequests.map((request) => request.claims[0]?.claim);
    expect(ids).toHaveLength(2);
    expect(ids[1]).toBe(ids[0]);
  });

  it('are only made for tokens', async () => {
    const { owner, bus, log } = await startSpecExecutor({ name: 'Noop', run: noop }, { slots: 1 });
    await bus.enqueue(subjects.step('spec_plugin', 'default'), { type: 'step.token', version: 2, surprise: true });
    await owner.run('p1');
    expect(owner.claimRequests.flatMap((request) => request.claims)).toHaveLength(1);
    expect(log.lines.some((line) => line.includes('is no token'))).toBe(true);
  });

  it('wait for a queue that is made later', async () => {
    const clock = new ManualClock();
    const { owner } = await startSpecExecutor({ name: 'Noop', run: noop }, { clock, queues: [] });
    await clock.pass(3);
    await owner.open();
    await owner.token('p1');
    await clock.advanceUntil(() => owner.reports.length === 1);
    expect(owner.reports[0]?.plan).toBe('p1');
  });
});
