import { describe, expect, it } from 'vitest';
import { Gate, ManualClock } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

const run = async (): Promise<Record<string, never>> => Promise.resolve({});

describe('what an executor says of itself', () => {
  it('WO1: who it is, which start of it, what it runs and in how many slots', async () => {
    const { owner } = await startSpecExecutor({ name: 'Noop', run, queue: 'fast' });
    await owner.until(() => owner.manifests.length === 1);
    expect(owner.manifests[0]).toMatchObject({
      executor: 'one',
      slots: 4,
      health: { state: 'running' },
      declaration: { plugin: 'spec_plugin', actions: [{ name: 'spec_plugin.Noop', queue: 'fast' }] },
    });
    expect(owner.manifests[0]?.startId).not.toBe('');
  });

  it('WO2: as it was told to', async () => {
    const { owner } = await startSpecExecutor({ name: 'Noop', run }, { executorId: 'rack-7', slots: 12, site: 'north' });
    await owner.until(() => owner.manifests.length === 1);
    expect(owner.manifests[0]).toMatchObject({ executor: 'rack-7', slots: 12, site: 'north' });
  });

  it('WO3: how many of its slots are used, with each heartbeat', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner } = await startSpecExecutor({ name: 'Wait', run: async () => gate.passed.then(() => ({})) }, { clock });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await clock.advanceUntil(() => owner.heartbeats.some(({ slots }) => slots.used === 1));
    expect(owner.heartbeats.at(-1)).toMatchObject({ slots: { total: 4, used: 1 } });
    gate.open();
  });

  it('WO4: and by which plan', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner } = await startSpecExecutor({ name: 'Wait', run: async () => gate.passed.then(() => ({})) }, { clock });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await clock.advanceUntil(() => owner.heartbeats.some(({ held }) => held.length === 1));
    expect(owner.heartbeats.at(-1)?.held.map(({ plan }) => plan)).toEqual(['p1']);
    gate.open();
  });
});
