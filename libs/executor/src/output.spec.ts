import { describe, expect, it } from 'vitest';
import { Gate, ManualClock, turns } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

const KIB = 1024;

describe('the output of a step', () => {
  it('arrives whole, in order and numbered from the number that the owner expects', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Count',
      chunksAs: 'result',
      run: async (context) => {
        for (let index = 0; index < 500; index += 1) {
          await context.write(index % 2 === 0 ? 'stdout' : 'stderr', `line ${index}\n`, { id: index });
        }
        return {};
      },
    });
    await owner.run('p1');
    const chunks = owner.stored.get('p1') ?? [];
    expect(chunks.map((chunk) => chunk.seq)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    expect(chunks[7]).toMatchObject({ seq: 8, kind: 'stderr', text: 'line 7\n', id: 7 });
    expect(chunks[7]?.timestampMs).toBeGreaterThan(1.7e12);
  });

  it('goes on with the number after what an earlier invocation wrote', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Count',
      chunksAs: 'result',
      run: async (context) => {
        await context.write('stdout', 'more');
        return {};
      },
    });
    await owner.run('p1', { nextSeq: 8 });
    expect(owner.reports[0]?.chunks.map((chunk) => chunk.seq)).toEqual([8]);
  });

  it('is sent at once when it is the first, then collected', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner } = await startSpecExecutor(
      {
        name: 'Talk',
        chunksAs: 'result',
        run: async (context) => {
          await context.write('stdout', 'first');
          await turns();
          await context.write('stdout', 'second');
          await context.write('stdout', 'third');
          await gate.passed;
          return {};
        },
      },
      { clock },
    );
    await owner.token('p1');
    await owner.until(() => owner.outputs.length === 1);
    await turns(30);
    expect(owner.text('p1')).toBe('first');
    clock.advance(50);
    await owner.until(() => owner.outputs.length === 2);
    expect(owner.outputs[1]?.output[0]?.chunks.map((chunk) => chunk.text)).toEqual(['second', 'third']);
    gate.open();
    await owner.outcome('p1');
  });

  it('of several steps travels in one message', async () => {
    const gate = new Gate();
    const { owner } = await startSpecExecutor({
      name: 'Talk',
      chunksAs: 'result',
      run: async (context) => {
        await context.write('stdout', `I am ${context.plan}`);
        await gate.passed;
        return {};
      },
    });
    for (const plan of ['a', 'b', 'c']) {
      await owner.token(plan);
    }
    await owner.until(() => owner.stored.size === 3);
    expect(owner.outputs.map((message) => message.output.map((entry) => entry.plan))).toEqual([['a', 'b', 'c']]);
    gate.open();
    await owner.until(() => owner.reports.length === 3);
  });

  it('makes its writer wait while too much is unconfirmed, and lets it go on after', async () => {
    let written = 0;
    const { owner } = await startSpecExecutor({
      name: 'Flood',
      chunksAs: 'result',
      run: async (context) => {
        for (let index = 0; index < 40; index += 1) {
          await context.write('stdout', 'x'.repeat(64 * KIB));
          written += 1;
        }
        return {};
      },
    });
    owner.confirmsOutput = false;
    await owner.token('p1');
    await owner.until(() => owner.text('p1').length >= 15 * 64 * KIB);
    await turns(50);
    const blockedAt = written;
    expect(blockedAt).toBeGreaterThanOrEqual(14);
    expect(blockedAt).toBeLessThanOrEqual(16);
    owner.confirmsOutput = true;
    owner.confirmOutput('p1', owner.stored.get('p1')?.at(-1)?.seq ?? 0);
    await owner.outcome('p1');
    expect(owner.text('p1')).toHaveLength(40 * 64 * KIB);
  });

  it('keeps every message small, whatever is written', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Flood',
      chunksAs: 'result',
      run: async (context) => {
        await Promise.all([context.write('stdout', '\u0001'.repeat(300 * KIB)), context.write('stdout', '😀'.repeat(100 * KIB))]);
        return {};
      },
    });
    await owner.run('p1');
    expect(owner.text('p1')).toBe('\u0001'.repeat(300 * KIB) + '😀'.repeat(100 * KIB));
    const sizes = [...owner.outputs, ...owner.reportMessages].map((message) => JSON.stringify(message).length);
    expect(Math.max(...sizes)).toBeLessThan(512 * KIB);
    expect((owner.stored.get('p1') ?? []).every((chunk) => !/\p{Surrogate}/u.test(chunk.text))).toBe(true);
  });

  it('that is not confirmed is sent again', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    const { owner } = await startSpecExecutor(
      {
        name: 'Talk',
        chunksAs: 'result',
        run: async (context) => {
          await context.write('stdout', 'hear me');
          await gate.passed;
          return {};
        },
      },
      { clock },
    );
    owner.confirmsOutput = false;
    await owner.token('p1');
    await owner.until(() => owner.outputs.length === 1);
    await clock.pass(3);
    expect(owner.outputs).toHaveLength(1);
    await clock.advanceUntil(() => owner.outputs.length === 2);
    expect(owner.outputs[1]).toEqual(owner.outputs[0]);
    owner.confirmOutput('p1', 1);
    await clock.pass(20);
    expect(owner.outputs).toHaveLength(2);
    gate.open();
    await owner.outcome('p1');
    expect(owner.reports[0]?.chunks).toEqual([]);
  });

  it('that is not confirmed comes with the outcome', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Talk',
      chunksAs: 'result',
      run: async (context) => {
        await context.write('stdout', 'a');
        await turns();
        await context.write('stdout', 'b');
        return {};
      },
    });
    owner.confirmsOutput = false;
    await owner.run('p1');
    expect(owner.reports[0]?.chunks.map((chunk) => chunk.text)).toEqual(['a', 'b']);
    expect(owner.text('p1')).toBe('ab');
  });

  it('holds the outcome back while more than 256 KiB are unconfirmed', async () => {
    let hasReturned = false;
    const { owner } = await startSpecExecutor({
      name: 'Flood',
      chunksAs: 'result',
      run: async (context) => {
        for (let index = 0; index < 10; index += 1) {
          await context.write('stdout', 'x'.repeat(60 * KIB));
        }
        hasReturned = true;
        return {};
      },
    });
    owner.confirmsOutput = false;
    await owner.token('p1');
    await owner.until(() => owner.text('p1').length === 600 * KIB);
    await turns(20);
    expect(hasReturned).toBe(true);
    expect(owner.reports).toHaveLength(0);
    owner.confirmOutput('p1', 6);
    await owner.outcome('p1');
    expect(owner.reports[0]?.chunks.map((chunk) => chunk.seq)).toEqual([7, 8, 9, 10]);
  });

  it('is refused from an action that did not declare it', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Talk',
      run: async (context) => {
        await context.write('stdout', 'hello');
        return {};
      },
    });
    expect(await owner.run('p1')).toMatchObject({ kind: 'failed', error: { message: expect.stringContaining('chunksAs') } });
  });

  it('that comes after the return is dropped with a warning', async () => {
    const gate = new Gate();
    const late = new Gate();
    const { owner, log } = await startSpecExecutor({
      name: 'Late',
      chunksAs: 'result',
      run: async (context) => {
        void gate.passed.then(async () => {
          await context.write('stdout', 'too late');
          context.update({ output: { late: true } });
          late.open();
        });
        return Promise.resolve({});
      },
    });
    await owner.run('p1');
    gate.open();
    await late.passed;
    await turns();
    expect(owner.text('p1')).toBe('');
    expect(owner.reports).toHaveLength(1);
    expect(log.lines.filter((line) => line.startsWith('warn') && line.includes('after the step had returned'))).toHaveLength(1);
  });
});
