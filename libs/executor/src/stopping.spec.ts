import { describe, expect, it } from 'vitest';
import { defineAction, definePlugin, release } from '@dynflow/plugin';
import { z } from 'zod';
import { Gate, ManualClock, turns } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

describe('an executor that is told to stop', () => {
  it('takes no more tokens, lets what runs end, and stops the plugin last', async () => {
    const order: string[] = [];
    const gate = new Gate();
    const plugin = definePlugin({
      name: 'spec_plugin',
      version: '1.0.0',
      settings: { section: 'spec', schema: z.object({}) },
      actions: [
        {
          name: 'Wait',
          input: z.object({}),
          run: async () => {
            await gate.passed;
            order.push('ran');
            return {};
          },
        },
      ],
      start: async () => Promise.resolve('services'),
      stop: async (services: string) => {
        order.push(`stopped ${services}`);
        return Promise.resolve();
      },
    });
    const { owner, executor } = await startSpecExecutor({ name: 'Wait' }, { plugin });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    const stopped = executor.stop().then(() => order.push('stopped'));
    await owner.until(() => owner.heartbeats.some((heartbeat) => heartbeat.draining && heartbeat.slots.used === 1));
    await owner.token('p2');
    await turns();
    expect(order).toEqual([]);
    gate.open();
    await stopped;
    expect(order).toEqual(['ran', 'stopped services', 'stopped']);
    expect(owner.reports.map((report) => report.plan)).toEqual(['p1']);
    expect(owner.claimRequests).toHaveLength(1);
    expect(owner.heartbeats.at(-1)).toMatchObject({ draining: true, slots: { used: 0 }, held: [] });
  });

  it('waits for the gateway to have applied the last outcome', async () => {
    const { owner, executor } = await startSpecExecutor({ name: 'Noop', run: async () => Promise.resolve({}) });
    owner.appliesReports = false;
    await owner.run('p1');
    let isStopped = false;
    const stopped = executor.stop().then(() => (isStopped = true));
    await turns(30);
    expect(isStopped).toBe(false);
    owner.apply(owner.reports);
    await stopped;
  });

  it('ends what runs by force when its limit is reached', async () => {
    const clock = new ManualClock();
    const { owner, executor } = await startSpecExecutor(
      {
        name: 'Wait',
        run: async (context) =>
          new Promise((resolve) => {
            context.signal.addEventListener('abort', () => resolve({ exit_status: 137 }));
          }),
      },
      { clock },
    );
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    const stopped = executor.stop({ limitMs: 60_000 });
    await clock.pass(50);
    expect(owner.reports).toEqual([]);
    await clock.advanceUntil(() => owner.reports.length === 1);
    expect(owner.reports[0]?.outcome).toEqual({ kind: 'done', output: { exit_status: 137 } });
    await stopped;
  });

  it('says that an outcome is unknown when a run does not end even then', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner, executor } = await startSpecExecutor(
      {
        name: 'Deaf',
        chunksAs: 'result',
        run: async (context) => {
          await context.write('stdout', 'cannot hear you');
          await gate.passed;
          return { exit_status: 0 };
        },
      },
      { clock },
    );
    owner.confirmsOutput = false;
    await owner.token('p1');
    await owner.until(() => owner.outputs.length === 1);
    const stopped = executor.stop({ limitMs: 1_000 });
    await clock.advanceUntil(() => owner.reports.length === 1);
    expect(owner.reports[0]).toMatchObject({
      outcome: { kind: 'failed', error: { errorClass: 'ExecutorStopped', kind: 'unknown' } },
      chunks: [{ seq: 1, text: 'cannot hear you' }],
    });
    await stopped;
    gate.open();
    await turns();
    expect(owner.reports).toHaveLength(1);
  });

  it('hurries when it is told again, with a limit', async () => {
    const clock = new ManualClock();
    const { owner, executor } = await startSpecExecutor(
      {
        name: 'Wait',
        run: async (context) =>
          new Promise((resolve) => {
            context.signal.addEventListener('abort', () => resolve({ exit_status: 137 }));
          }),
      },
      { clock },
    );
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    const first = executor.stop();
    await clock.pass(300);
    expect(owner.reports).toEqual([]);
    const second = executor.stop({ limitMs: 0 });
    await clock.advanceUntil(() => owner.reports.length === 1);
    await Promise.all([first, second]);
  });
});

describe('a resumable run while its executor drains', () => {
  it('is handed on with its checkpoint; what is not resumable is waited for', async () => {
    const gate = new Gate();
    const plugin = definePlugin({
      name: 'spec_plugin',
      version: '1.0.0',
      settings: { section: 'spec', schema: z.object({}) },
      actions: [
        defineAction({
          name: 'Wait',
          input: z.object({ resumable: z.boolean() }),
          resumable: true,
          run: async ({ input, draining }) => {
            if (input.resumable) {
              await new Promise((resolve) => {
                draining.addEventListener('abort', resolve);
              });
              return release({ offset: 7 });
            }
            await gate.passed;
            return {};
          },
        }),
      ],
    });
    const { owner, executor } = await startSpecExecutor({ name: 'Wait' }, { plugin });
    owner.grants.set('handed on', { input: { resumable: true } });
    owner.grants.set('waited for', { input: { resumable: false } });
    await owner.token('handed on');
    await owner.token('waited for');
    await owner.until(() => owner.claimRequests.flatMap(({ claims }) => claims).length === 2);
    await turns();
    const stopped = executor.stop();
    await owner.until(() => owner.reports.length === 1);
    expect(owner.reports[0]).toMatchObject({ plan: 'handed on', outcome: { kind: 'released', checkpoint: { offset: 7 } } });
    gate.open();
    await stopped;
    expect(owner.reports[1]).toMatchObject({ plan: 'waited for', outcome: { kind: 'done' } });
  });

  it('of an action that is not resumable is refused: nobody could go on with it', async () => {
    const { owner } = await startSpecExecutor({ name: 'Wrong', run: async () => Promise.resolve(release({})) });
    await owner.run('p1');
    expect(owner.reports[0]?.outcome).toMatchObject({ kind: 'failed', error: { code: 'DYN_CANNOT_RELEASE', kind: 'unknown' } });
  });
});
