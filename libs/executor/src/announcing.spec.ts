import { describe, expect, it } from 'vitest';
import { InProcessBus } from '@dynflow/bus';
import { definePlugin, type PluginDefinition } from '@dynflow/plugin';
import { z } from 'zod';
import { Gate, ManualClock, turns } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

const run = async (): Promise<Record<string, never>> => Promise.resolve({});
const noop = { name: 'Noop', run };

function pluginWith(parts: Partial<PluginDefinition>): ReturnType<typeof definePlugin> {
  return definePlugin({
    name: 'spec_plugin',
    version: '1.0.0',
    settings: { section: 'spec', schema: z.object({}) },
    actions: [{ name: 'Noop', input: z.object({}), run }],
    ...parts,
  });
}

describe('the announcement', () => {
  it('is repeated until a gateway is there', async () => {
    const clock = new ManualClock();
    const { owner, executor } = await startSpecExecutor(noop, { clock, prepare: (one) => one.isAway(true) });
    await clock.pass(10);
    expect(owner.manifests).toEqual([]);
    owner.isAway(false);
    await clock.advanceUntil(() => owner.manifests.length === 1);
    await executor.announced;
    await owner.token('p1');
    await clock.advanceUntil(() => owner.reports.length === 1);
  });

  it('that is refused is said by name, nothing is taken, and it is asked again after a while', async () => {
    const clock = new ManualClock();
    const { owner, log } = await startSpecExecutor(noop, { clock, prepare: (one) => (one.acceptsManifest = false) });
    await owner.until(() => owner.manifests.length === 1);
    await owner.token('p1');
    await clock.pass(20);
    expect(owner.claimRequests).toEqual([]);
    expect(log.lines.filter((line) => line.startsWith('error'))).toEqual([
      expect.stringMatching(/refuses the plugin spec_plugin.*the test says no/),
    ]);
    owner.acceptsManifest = true;
    await clock.advanceUntil(() => owner.reports.length === 1);
    expect(owner.manifests.length).toBe(2);
  });

  it('is repeated when a heartbeat finds a gateway that does not know this executor', async () => {
    const clock = new ManualClock();
    const { owner } = await startSpecExecutor(noop, { clock });
    await clock.advanceUntil(() => owner.heartbeats.length === 1);
    expect(owner.manifests).toHaveLength(1);
    owner.wantsAnnouncement = true;
    await clock.advanceUntil(() => owner.manifests.length === 2);
    expect(owner.manifests[1]).toEqual(owner.manifests[0]);
  });

  it('is repeated after a reconnect, with everything that is not confirmed', async () => {
    const clock = new ManualClock();
    const reconnects: (() => void)[] = [];
    const bus = new (class extends InProcessBus {
      override onReconnect(callback?: () => void): void {
        reconnects.push(callback ?? (() => undefined));
      }
    })();
    const gate = new Gate();
    const { owner } = await startSpecExecutor(
      {
        name: 'Talk',
        chunksAs: 'result',
        run: async (context) => {
          await context.write('stdout', `I am ${context.plan}`);
          await (context.plan === 'goes-on' ? gate.passed : undefined);
          return {};
        },
      },
      { clock, bus },
    );
    owner.appliesReports = false;
    owner.confirmsOutput = false;
    await owner.run('ended');
    await owner.token('goes-on');
    await owner.until(() => owner.outputs.length === 1);
    await turns();
    for (const callback of reconnects) {
      callback();
    }
    await turns();
    expect(owner.manifests).toHaveLength(2);
    expect(owner.outputs).toHaveLength(2);
    expect(owner.reports.map((report) => report.plan)).toEqual(['ended', 'ended']);
    gate.open();
    await owner.outcome('goes-on');
  });
});

describe('heartbeats', () => {
  it('come every five seconds and name what is held', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner } = await startSpecExecutor(
      {
        name: 'Wait',
        run: async () => {
          await gate.passed;
          return {};
        },
      },
      { clock },
    );
    await owner.token('p1', { step: 5 });
    await owner.until(() => owner.claimRequests.length === 1);
    const startMs = clock.now();
    await clock.advanceUntil(() => owner.heartbeats.length === 3);
    expect(clock.now() - startMs).toBe(15_000);
    expect(owner.heartbeats[2]).toMatchObject({
      executor: 'one',
      draining: false,
      slots: { total: 4, used: 1 },
      held: [{ claim: owner.claimOf('p1'), plan: 'p1', step: 5 }],
    });
    expect(owner.heartbeats[2]?.startId).toBe(owner.manifests[0]?.startId);
    gate.open();
    await owner.outcome('p1');
  });
});

describe('a plugin that cannot work', () => {
  it('is announced as broken with what its check says, and takes nothing', async () => {
    const { owner } = await startSpecExecutor(noop, {
      plugin: pluginWith({ check: async () => Promise.resolve({ state: 'broken', reason: 'salt-run is not installed' }) }),
    });
    await owner.token('p1');
    await owner.until(() => owner.manifests.length === 1);
    await turns();
    expect(owner.manifests[0]?.health).toEqual({ state: 'broken', reason: 'salt-run is not installed' });
    expect(owner.claimRequests).toEqual([]);
  });

  it('is announced as broken with what its start threw, and once more when it has recovered', async () => {
    const clock = new ManualClock();
    let isReady = false;
    const { owner } = await startSpecExecutor(noop, {
      clock,
      plugin: pluginWith({
        start: async () => (isReady ? Promise.resolve({}) : Promise.reject(new Error('no key at /etc/key'))),
      }),
    });
    await owner.token('p1');
    await owner.until(() => owner.manifests.length === 1);
    expect(owner.manifests[0]?.health).toEqual({ state: 'broken', reason: 'no key at /etc/key' });
    await clock.pass(70);
    expect(owner.manifests).toHaveLength(1);
    isReady = true;
    await clock.advanceUntil(() => owner.reports.length === 1);
    expect(owner.manifests.at(-1)?.health).toEqual({ state: 'running' });
  });
});
