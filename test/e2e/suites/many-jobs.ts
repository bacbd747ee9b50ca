import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { job } from '../../support/run-jobs.js';
import type { Stack } from '../../support/stack.js';

const jobs = 200;
const atOnce = 20;
const limitMs = 150_000;

/** Many launches of one host each, as Foreman sends them for many small jobs. */
export function manyJobsSuite(current: () => Stack): void {
  test(`${jobs} jobs, ${atOnce} at once: none is refused, lost or run twice, and every callback comes once`, async () => {
    const stack = current();
    const client = stack.client();
    const ledger = join(stack.dir, 'ledger');
    const marks = Array.from({ length: jobs }, () => randomUUID());
    const tasks: string[] = [];
    const refused: unknown[] = [];

    const left = [...marks];
    const launchLeft = async (): Promise<void> => {
      for (let mark = left.pop(); mark !== undefined; mark = left.pop()) {
        const { status, answer, hosts } = await client.launch([job(stack, `echo ${mark} >> ${ledger}; echo ${mark}`)]);
        tasks.push(...hosts.map(({ taskId }) => taskId));
        if (status !== 200) {
          refused.push(answer);
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, launchLeft));
    expect(refused).toEqual([]);

    await stack.foreman.waitForCallbacks(tasks, { timeoutMs: limitMs });
    expect((await readFile(ledger, 'utf8')).trimEnd().split('\n').toSorted()).toEqual(marks.toSorted());
    expect(tasks.filter((task) => stack.foreman.resultOf(task) !== 'success')).toEqual([]);
    expect(Object.entries(stack.foreman.counts()).filter(([, count]) => count !== 1)).toEqual([]);
    expect(stack.foreman.requests.filter(({ status }) => status !== 200)).toEqual([]);
    await expect.poll(() => client.count('stopped'), { timeout: 20_000 }).toBe(2 * jobs);
    expect(await client.count('all')).toBe(2 * jobs);
  });
}
