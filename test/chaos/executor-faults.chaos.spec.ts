import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChaosStack } from './support/chaos-stack.js';

const timeoutMs = 60_000;
let stack: ChaosStack;

beforeEach(async () => {
  stack = await ChaosStack.start({ database: 'file' });
  await stack.startGateway();
});
afterEach(() => stack.stop());

describe('an executor that is killed', () => {
  it('before its claim: the job is begun by its successor', async () => {
    const killed = await stack.startExecutor({ id: 'one', killAt: 'before-claim' });
    await stack.launch('Mark', {});
    await killed.ended;
    await stack.startExecutor({ id: 'one' });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual([0]);
  });

  it('after its claim, before it began: it ends as of unknown outcome, and is not begun', async () => {
    const killed = await stack.startExecutor({ id: 'one', killAt: 'after-claim' });
    const job = await stack.launch('Mark', {});
    await killed.ended;
    await stack.startExecutor({ id: 'one' });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual(['EXCEPTION']);
    expect(stack.countIn(`${job.key} begin`)).toBe(0);
  });

  it('in the middle of a job: it ends as of unknown outcome at once when the successor is there, and is not begun again', async () => {
    const killed = await stack.startExecutor({ id: 'one' });
    const job = await stack.launch('Mark', { ms: 600_000 });
    await stack.client().waitForStatus(job.plan, (document) => JSON.stringify(document).includes(`${job.key} works`), { timeoutMs });
    await killed.kill('SIGKILL');
    await stack.startExecutor({ id: 'one' });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual(['EXCEPTION']);
    expect(stack.countIn(`${job.key} begin`)).toBe(1);
  });

  it('after its outcome is in the queue: the outcome counts', async () => {
    const killed = await stack.startExecutor({ id: 'one', killAt: 'after-outcome' });
    await stack.launch('Mark', {});
    await killed.ended;
    await stack.startExecutor({ id: 'one' });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual([0]);
  });

  it('before it learns that its outcome is applied: nothing is applied twice', async () => {
    const killed = await stack.startExecutor({ id: 'one', killAt: 'before-applied' });
    await stack.launch('Mark', {});
    await killed.ended;
    await stack.startExecutor({ id: 'one' });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual([0]);
  });

  it('by the very step that it runs, leaves its successor alone: a poison step is not given to the next one', async () => {
    const killed = await stack.startExecutor({ id: 'one' });
    await stack.launch('Mark', { isPoison: true });
    await killed.ended;
    await stack.startExecutor({ id: 'one' });
    const healthy = await stack.launch('Mark', {});
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual(['EXCEPTION', 0]);
    expect(stack.countIn(`${healthy.key} end`)).toBe(1);
  });
});

describe('a job that can be taken over', () => {
  it('is gone on with by the successor of a killed executor, without a gap in its output', async () => {
    const killed = await stack.startExecutor({ id: 'one' });
    const job = await stack.launch('Detached', { lines: 20, everyMs: 100 });
    await stack.client().waitForStatus(job.plan, (document) => JSON.stringify(document).includes('line 5'), { timeoutMs });
    await killed.kill('SIGKILL');
    await stack.startExecutor({ id: 'one' });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual([0]);
    const { data } = await stack.foreman.waitForCallback(job.task, { timeoutMs });
    const text = (data['result'] as { output: string }[]).map(({ output }) => output).join('');
    expect(text).toBe(Array.from({ length: 20 }, (_, index) => `line ${index + 1}\n`).join(''));
  });

  it('is handed on by an executor that drains, to the one beside it, while a job that cannot be is waited for', async () => {
    const old = await stack.startExecutor({ id: 'old' });
    const handed = await stack.launch('Detached', { lines: 30, everyMs: 100 });
    const waited = await stack.launch('Mark', { ms: 2_000 });
    await stack.client().waitForStatus(handed.plan, (document) => JSON.stringify(document).includes('line 2'), { timeoutMs });
    await stack.client().waitForStatus(waited.plan, (document) => JSON.stringify(document).includes('works'), { timeoutMs });
    await stack.startExecutor({ id: 'new' });
    old.process.kill('SIGTERM');
    expect(await old.ended).toBe(0);
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual([0, 0]);
  });
});

describe('an executor whose plugin blocks its thread', () => {
  it('is not taken for lost, and does not think itself cut off', async () => {
    await stack.gateways[0]?.stop();
    // Blocked for many times as long as anybody may be silent here.
    await stack.startGateway({ DYNFLOW_EXECUTOR_LOST_AFTER: '2s' });
    await stack.startExecutor({ id: 'one', tuning: { heartbeatMs: 500 } });
    const job = await stack.launch('Mark', { ms: 20_000, isBlocking: true });
    expect(await stack.expectAllSettled({ timeoutMs })).toEqual([0]);
    expect(stack.countIn(`${job.key} end`)).toBe(1);
  });
});
