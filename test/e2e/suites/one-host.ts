import { randomUUID } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAccount, startSshd } from '@dynflow/testing';
import type { ScriptJob } from '@dynflow/testing';
import { describe, expect, test } from 'vitest';
import { replay } from '../../support/fixtures.js';
import { hasLine, hostOutput, textOf } from '../../support/output.js';
import { isStopped, job, jobEnd, launchJob, launchJobs, runJob, runJobs, untilStatus } from '../../support/run-jobs.js';
import type { Stack } from '../../support/stack.js';
import { closedPort } from '../../support/stack.js';
import { expectCallback, expectStopped, launchStory, makeGate, patienceMs, storyVariables } from '../../support/story.js';

/** How single jobs end, compared with what a smart proxy answers and sends where that was recorded. */
export function oneHostSuite(current: () => Stack): void {
  describe.concurrent('a job on one host', () => {
    test('that ends with 0 looks like a smart proxy’s at once, while it runs and afterwards', async () => {
      const stack = current();
      const client = stack.client();
      const gate = makeGate(stack);
      const variables = await launchStory(client, 'ssh-exit-0', storyVariables(stack, { pause: gate.wait }));
      const child = String(variables['child']);
      await replay(client, 'ssh-exit-0.child-at-once', variables);
      await replay(client, 'ssh-exit-0.parent-at-once', variables);

      const running = await client.waitForStatus(child, hasLine('line 1'), { timeoutMs: patienceMs });
      await replay(client, 'ssh-exit-0.child-running', variables);
      // Foreman's job page looks while the job runs, and afterwards there is nothing twice and nothing missing.
      stack.foreman.observe(String(variables['task']), running);
      await gate.open();

      await expectCallback(stack, 'ssh-exit-0', String(variables['task']));
      await expectStopped(client, 'ssh-exit-0.child-stopped', variables);
      await replay(client, 'ssh-exit-0.cancel-stopped', variables);
      await expectStopped(client, 'ssh-exit-0.parent-stopped', variables, String(variables['parent']));
      const rows = stack.foreman.rowsOf(String(variables['task'])).filter(({ eventType }) => eventType === 'stdout');
      expect(rows.map(({ event }) => event).join('')).toBe('line 1\nline 2\nline 3\n');
      expect(stack.foreman.resultOf(String(variables['task']))).toBe('success');
    });

    test.each(['ssh-exit-3', 'ssh-unresolvable'])('%s ends like a smart proxy’s', async (story) => {
      const stack = current();
      const client = stack.client();
      const variables = await launchStory(client, story, storyVariables(stack));
      await expectCallback(stack, story, String(variables['task']));
      await expectStopped(client, `${story}.child-stopped`, variables);
    });

    test('at a port where nobody listens ends like a smart proxy’s, and says so', async () => {
      const stack = current();
      const client = stack.client();
      const variables = await launchStory(client, 'ssh-refused', storyVariables(stack, { port: closedPort }));
      const { data } = await expectCallback(stack, 'ssh-refused', String(variables['task']));
      await expectStopped(client, 'ssh-refused.child-stopped', variables);
      expect(textOf(data['result'], 'debug')).toMatch(/127\.0\.0\.1.*(refused|ECONNREFUSED)/i);
    });

    test('under another user, by sudo, ends like a smart proxy’s', async ({ onTestFinished }) => {
      const stack = current();
      const account = await makeAccount();
      onTestFinished(() => account.remove());
      const client = stack.client();
      const variables = await launchStory(client, 'ssh-effective-user', storyVariables(stack, { effective_user: account.name }));
      await expectCallback(stack, 'ssh-effective-user', String(variables['task']), { effective_user: account.name });
      await expectStopped(client, 'ssh-effective-user.child-stopped', variables);
    });

    test('under a user that sudo does not allow ends like a smart proxy’s, and says so', async ({ onTestFinished }) => {
      const stack = current();
      const account = await makeAccount();
      onTestFinished(() => account.remove());
      const client = stack.client();
      const own = { ssh_user: account.name, effective_user: 'root' };
      const variables = await launchStory(client, 'ssh-effective-user-refused', storyVariables(stack, own));
      const { data } = await expectCallback(stack, 'ssh-effective-user-refused', String(variables['task']));
      await expectStopped(client, 'ssh-effective-user-refused.child-stopped', variables);
      expect(textOf(data['result'], 'debug')).toContain(`cannot switch from ${account.name} to the effective user root with sudo`);
    });

    test('shows its output before it ends, each stream as what it is', async () => {
      const stack = current();
      const gate = makeGate(stack);
      const script = `echo begin; echo oops >&2; ${gate.wait}; echo end`;
      const host = await launchJob(stack, job(stack, script));
      const seen = (line: string): Promise<unknown> => untilStatus(stack, host, hasLine(line));
      await seen('begin');
      await seen('oops');
      const running = await untilStatus(stack, host, () => true);
      expect(running).toMatchObject({ state: 'running', result: 'pending' });
      expect(hostOutput(running)['exit_status']).toBeUndefined();
      await gate.open();
      expect(await jobEnd(stack, host)).toMatchObject({
        exitStatus: 0,
        stdout: 'begin\nend\n',
        stderr: 'oops\n',
        debug: '',
      });
    });

    test('keeps text of all kinds as it is', async () => {
      const stack = current();
      const line = `žluťoučký 🐎 "quoted" \\back $HOME \`tick\` <tag> & more`;
      const { stdout, exitStatus } = await runJob(stack, job(stack, `cat <<'END'\n${line}\nEND\nprintf 'no newline'`));
      expect({ stdout, exitStatus }).toEqual({ stdout: `${line}\nno newline`, exitStatus: 0 });
    });

    test('that is launched again under its id, as Foreman does when an answer was lost, runs once', async () => {
      const stack = current();
      const ledger = join(stack.dir, randomUUID());
      const again = job(stack, `echo run >> ${ledger}`, { planId: randomUUID(), taskId: randomUUID() });
      const [host] = await Promise.all([launchJob(stack, again), launchJob(stack, again)]);
      await jobEnd(stack, host);
      await untilStatus(stack, await launchJob(stack, again), isStopped);
      expect(await readFile(ledger, 'utf8')).toBe('run\n');
      expect(stack.foreman.counts()[host.taskId]).toBe(1);
    });

    test('leaves nothing behind on the host', async () => {
      const stack = current();
      const { data, exitStatus } = await runJob(stack, job(stack, 'exit 0'));
      expect(exitStatus).toBe(0);
      await expect(access(`/var/tmp/foreman-ssh-cmd-${String(data['runner_id'])}`)).rejects.toThrow('ENOENT');
    });

    test('logs in with a password that came as a secret, and with no wrong one', async ({ onTestFinished }) => {
      const stack = current();
      const password = `s3cret-${randomUUID()}`;
      // Its own key, so that the service's key does not open this door.
      const host = await startSshd({ account: { password } });
      onTestFinished(() => host.stop());
      const target = { hostname: host.host, sshPort: host.port, sshUser: host.user };
      const [right, wrong, without] = await runJobs(stack, [
        job(stack, 'id -un', { ...target, sshPassword: password }),
        job(stack, 'id -un', { ...target, sshPassword: 'wrong' }),
        job(stack, 'id -un', target),
      ]);
      expect(right).toMatchObject({ exitStatus: 0, stdout: `${host.user}\n` });
      expect([wrong?.exitStatus, without?.exitStatus]).toEqual(['EXCEPTION', 'EXCEPTION']);
      expect(wrong?.debug).toMatch(new RegExp(`(log in|login|authentication|refused).*`, 'i'));
      expect(JSON.stringify([wrong, without])).not.toContain(password);
    });

    test('is refused by a host whose key has changed, and says what to do', async ({ onTestFinished }) => {
      const stack = current();
      const before = await startSshd({ clientKey: stack.sshd.clientKey });
      const target = { hostname: before.host, sshPort: before.port };
      expect((await runJob(stack, job(stack, 'exit 0', target))).exitStatus).toBe(0);
      await before.stop();
      const after = await startSshd({ clientKey: stack.sshd.clientKey, port: before.port });
      onTestFinished(() => after.stop());
      const ledger = join(stack.dir, randomUUID());
      const end = await runJob(stack, job(stack, `touch ${ledger}`, target));
      expect(end).toMatchObject({ exitStatus: 'EXCEPTION', stdout: '' });
      expect(end.debug).toMatch(/host key/i);
      await expect(access(ledger)).rejects.toThrow('ENOENT');
    });
  });

  test('the hosts of a batch do not mind each other’s failures, and each says in one line what is wrong', async () => {
    const stack = current();
    const failures: [Partial<ScriptJob>, RegExp][] = [
      [{ sshPort: closedPort }, /^Error initializing command: connection to 127\.0\.0\.1:1 refused/],
      [{ hostname: 'no-such-host.invalid' }, /^Error initializing command: the name no-such-host\.invalid cannot be resolved/],
      [{ sshUser: 'no-such-user' }, /^Error initializing command: login as no-such-user refused by 127\.0\.0\.1/],
      [{ remoteWorkingDir: '/proc/no-such-directory' }, /^Error initializing command: cannot make the directory \/proc\/no-such-directory/],
      [{ effectiveUser: 'no-such-user' }, /^Error initializing command: cannot switch .* no-such-user with sudo: there is no such user/],
      [{ effectiveUser: 'nobody', effectiveUserMethod: 'dzdo' }, /^Error initializing command: .* needs dzdo, which is not installed/],
    ];
    const hosts = await launchJobs(stack, [
      job(stack, 'echo one'),
      ...failures.map(([own]) => job(stack, 'echo x', own)),
      job(stack, 'exit 9'),
      job(stack, 'kill -9 $$'),
      job(stack, 'echo two'),
    ]);
    const ends = await Promise.all(hosts.map((host) => jobEnd(stack, host)));
    const documents = await Promise.all(hosts.map((host) => untilStatus(stack, host, isStopped)));
    const failed = failures.map(() => 'EXCEPTION');
    expect(ends.map(({ exitStatus }) => exitStatus)).toEqual([0, ...failed, 9, 137, 0]);
    expect(ends.map(({ stdout }) => stdout).join('')).toBe('one\ntwo\n');
    expect(documents.map(({ result }) => result)).toEqual(['success', ...failed.map(() => 'error'), 'error', 'error', 'success']);
    for (const [index, [, line]] of failures.entries()) {
      expect(ends[index + 1]?.debug).toMatch(line);
      expect(ends[index + 1]?.debug).toMatch(/^[^\n]+\n$/);
    }
  });
}
