import { randomInt } from 'node:crypto';
import { access } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { replay } from '../../support/fixtures.js';
import { processesWith } from '../../support/host-processes.js';
import { hasLine, hostOutput, textOf } from '../../support/output.js';
import { isStopped, job, jobEnd, launchJob, launchJobs, untilStatus } from '../../support/run-jobs.js';
import type { Stack } from '../../support/stack.js';
import { expectCallback, expectStopped, launchStory, patienceMs, storyVariables } from '../../support/story.js';

/** How jobs are stopped. */
export function stoppingSuite(current: () => Stack): void {
  describe.concurrent('a job that is stopped', () => {
    test('while it runs ends on the host too, like a smart proxy’s', async () => {
      const stack = current();
      const client = stack.client();
      const variables = await launchStory(client, 'ssh-cancel', storyVariables(stack));
      await client.waitForStatus(String(variables['child']), hasLine('start'), { timeoutMs: patienceMs });
      await replay(client, 'ssh-cancel.cancel', variables);
      const { data } = await expectCallback(stack, 'ssh-cancel', String(variables['task']));
      await expectStopped(client, 'ssh-cancel.child-stopped', variables);
      expect(data['exit_status']).not.toBe(0);
      expect(stack.foreman.resultOf(String(variables['task']))).toBe('failure');
      await expect(access(`/var/tmp/foreman-ssh-cmd-${String(data['runner_id'])}`)).rejects.toThrow('ENOENT');
      await replay(client, 'ssh-exit-0.cancel-stopped', variables);
    });

    test('takes with it what it has started on the host', async () => {
      const stack = current();
      const mark = `600.${randomInt(1e9)}`;
      const host = await launchJob(stack, job(stack, `sleep ${mark} & echo started; wait`));
      await untilStatus(stack, host, hasLine('started'));
      expect(await processesWith(mark)).not.toEqual([]);
      await stack.client().cancel(host.planId);
      await jobEnd(stack, host);
      expect(await processesWith(mark)).toEqual([]);
    });

    test('right after its launch ends at once, and its callback comes', async () => {
      const stack = current();
      const mark = `600.${randomInt(1e9)}`;
      const hosts = await launchJobs(stack, [job(stack, `sleep ${mark}`), job(stack, `sleep ${mark}`), job(stack, `sleep ${mark}`)]);
      await Promise.all(hosts.map(({ planId }) => stack.client().cancel(planId)));
      for (const host of hosts) {
        expect((await jobEnd(stack, host)).exitStatus).not.toBe(0);
        expect(await untilStatus(stack, host, isStopped)).toMatchObject({ result: 'error' });
      }
      expect(await processesWith(mark)).toEqual([]);
    });

    test('twice is stopped once', async () => {
      const stack = current();
      const host = await launchJob(stack, job(stack, 'echo begin; sleep 600'));
      await untilStatus(stack, host, hasLine('begin'));
      await Promise.all([stack.client().cancel(host.planId), stack.client().cancel(host.planId)]);
      await jobEnd(stack, host);
      await untilStatus(stack, host, isStopped);
      expect(stack.foreman.counts()[host.taskId]).toBe(1);
      expect(await stack.client().cancel(host.planId)).toBe(0);
    });

    test('by its time limit ends like a smart proxy’s, with what it wrote until then', async () => {
      const stack = current();
      const host = await launchJob(stack, job(stack, 'echo begin; exec sleep 600', { executionTimeoutIntervalSeconds: 1 }));
      const { data } = await expectCallback(stack, 'ssh-timeout', host.taskId);
      const document = await untilStatus(stack, host, isStopped);
      expect(document).toMatchObject({ state: 'stopped', result: 'error' });
      expect(data['exit_status']).not.toBe(0);
      expect(textOf(hostOutput(document).result)).toContain('Timeout');
    });
  });
}
