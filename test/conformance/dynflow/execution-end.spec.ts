import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '@dynflow/persistence';
import { defineAction, definePlugin } from '@dynflow/plugin';
import { z } from 'zod';
import { startGatewayLab, type GatewayLab } from './gateway-lab.js';

/** An action that ends when the test lets it, in a plugin that an executor hosts. */
function held() {
  let begin: () => void = () => undefined;
  let letGo: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const isLetGo = new Promise<void>((resolve) => (letGo = resolve));
  const Hold = defineAction({
    name: 'Hold',
    input: z.object({}),
    run: async () => {
      begin();
      await isLetGo;
      return { ended: true };
    },
  });
  const plugin = definePlugin({
    name: 'example',
    version: '1.0.0',
    settings: { section: 'example', schema: z.object({}) },
    actions: [Hold],
  });
  return { plugin, begun, letGo: () => letGo() };
}

describe('an orderly end', () => {
  let directory: string;
  const seen: Record<'isDoneEarly' | 'running' | 'suspended' | 'resumed' | 'leases' | 'refusal', unknown> = {} as never;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conformance-'));
    const env = { DYNFLOW_DATABASE_URL: `sqlite:${directory}/dynflow.db` };
    const { plugin, begun, letGo } = held();
    const first = await startGatewayLab(env, { plugins: [plugin] });
    const { plan: running } = await first.core.service.trigger({ action: 'example.Hold', input: {} });
    const { plan: suspended } = await first.core.service.trigger({ action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } });
    await begun;
    let isStopped = false;
    const stopped = first.core.stop().then(() => (isStopped = true));
    await new Promise((resolve) => setImmediate(resolve));
    seen.isDoneEarly = isStopped;
    letGo();
    await stopped;
    seen.refusal = await first.core.service.trigger({ action: 'dynflow_api.Noop', input: {} }).then(
      () => 'taken',
      (error: unknown) => error,
    );
    const database = await openDatabase({ url: env.DYNFLOW_DATABASE_URL });
    const views = await database.reader.plans([running, suspended]);
    [seen.running, seen.suspended] = views;
    seen.leases = await database.shards.all();
    await database.close();
    const second = await startGatewayLab(env, { plugins: [plugin] });
    await second.core.service.cancel(suspended);
    seen.resumed = await second.rested(suspended);
    await second.core.stop();
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('EX47: waits for what runs', () => {
    expect(seen.isDoneEarly).toBe(false);
    expect(seen.running).toMatchObject({ state: 'stopped', result: 'success', actions: [{ output: { ended: true } }] });
  });

  it('EX48: leaves what waits as it is, without a result, for the next one to go on with', () => {
    expect(seen.suspended).toMatchObject({ state: 'running', result: 'pending' });
    expect(seen.resumed).toMatchObject({ state: 'stopped', result: 'success' });
  });

  it('EX51: takes nothing more, and says that it may be asked again', () => {
    expect(seen.refusal).toMatchObject({ retryable: true });
  });

  it('TH2: leaves nothing held', () => {
    expect(seen.leases).toEqual([{ id: 0, owner: null, epoch: 1, expiresAtMs: 0 }]);
  });
});

describe('the end', () => {
  const isOver = async (lab: GatewayLab): Promise<boolean> => {
    const faults = await lab.core.faults();
    return faults.some(({ part }) => part === 'database');
  };

  it('EX52: may come right after the start', async () => {
    const lab = await startGatewayLab();
    await lab.core.stop();
    expect(await isOver(lab)).toBe(true);
  });

  it('EX53: may be asked for twice', async () => {
    const lab = await startGatewayLab();
    await lab.core.stop();
    await lab.core.stop();
    expect(await isOver(lab)).toBe(true);
  });

  it('EX54: may be asked for twice at once', async () => {
    const lab = await startGatewayLab();
    await Promise.all([lab.core.stop(), lab.core.stop()]);
    expect(await isOver(lab)).toBe(true);
  });

  it('WO5: can be awaited', async () => {
    const lab = await startGatewayLab();
    let isEnded = false;
    const ended = lab.core.stop().then(() => (isEnded = true));
    expect(isEnded).toBe(false);
    await ended;
    expect(await isOver(lab)).toBe(true);
  });

  it('TH1: leaves nobody without an answer, and nothing that would keep the process', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = timers();
    const lab = await startGatewayLab();
    const asked = Array.from({ length: 20 }, () => lab.core.service.trigger({ action: 'dynflow_api.Noop', input: {} }));
    const stopped = lab.core.stop();
    const answers = await Promise.allSettled(asked);
    await stopped;
    const isClear = (answer: PromiseSettledResult<unknown>): boolean =>
      answer.status === 'fulfilled' || (answer.reason as { retryable?: boolean }).retryable === true;
    expect(answers.filter(isClear)).toHaveLength(20);
    expect(timers()).toBeLessThanOrEqual(before);
  });
});
