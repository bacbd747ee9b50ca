import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAccount, startSshd } from '@dynflow/testing';
import type { Account, Sshd } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ScriptLab } from './script-lab.js';
import type { LabOutcome } from './script-lab.js';

const PASSWORD = `s3cret $(id) 'q" \\ü`;

/** The login account may do nothing by itself; what sudo lets it do differs from test to test. */
describe('an effective user', () => {
  let target: Account;
  let server: Sshd;
  let lab: ScriptLab;
  /** Open to all as /var/tmp is, so that nothing of other tests lies in it. */
  let dir: string;
  let id: string;
  const run = (input: Record<string, unknown>): Promise<LabOutcome> => lab.run({ remote_working_dir: dir, ...input }, { id });
  const rules = (): string => `/etc/sudoers.d/${server.user}`;
  const allow = (...lines: string[]): Promise<void> =>
    writeFile(rules(), lines.map((line) => `${line.replaceAll('%u', server.user)}\n`).join(''), { mode: 0o440 });

  beforeAll(async () => {
    target = await makeAccount({ password: PASSWORD });
    server = await startSshd({ account: { password: PASSWORD } });
    lab = new ScriptLab(server);
  });
  afterAll(async () => {
    await server.stop();
    await target.remove();
  });
  beforeEach(async () => {
    dir = `/var/tmp/rex-spec-${randomUUID()}`;
    id = randomUUID();
    await mkdir(dir);
    await chmod(dir, 0o1777);
  });
  afterEach(async () => {
    await rm(rules(), { force: true });
    expect((await readdir('/tmp')).filter((name) => name.includes(id))).toEqual([]);
    expect((await readdir(dir)).filter((name) => name.startsWith('foreman-ssh-cmd-'))).toEqual([]);
    await rm(dir, { recursive: true });
  });

  it('runs the script with sudo where no password is needed, and keeps it from others', async () => {
    await allow('%u ALL=(ALL) NOPASSWD: ALL');
    const script = 'id -un; stat -c "%a %U" "$0" "$(dirname "$0")"; echo err >&2; exit 6';
    expect(await run({ script, effective_user: target.name })).toEqual({
      exitStatus: 6,
      stdout: `${target.name}\n500 ${target.name}\n700 ${target.name}\n`,
      stderr: 'err\n',
      debug: '',
    });
    expect((await run({ script: 'id -un', effective_user: 'root', secrets: { effective_user_password: 'not needed' } })).stdout).toBe(
      'root\n',
    );
  });

  it('is content with a rule for the path of the script', async () => {
    await allow(`%u ALL=(root) NOPASSWD: ${dir}/foreman-ssh-cmd-*/script`);
    expect(await run({ script: 'id -un', effective_user: 'root' })).toEqual({ exitStatus: 0, stdout: 'root\n', stderr: '', debug: '' });
  });

  it('answers sudo once, and shows the password nowhere', async () => {
    await allow('%u ALL=(ALL) ALL');
    const script = `id -un; env; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; ls -laR ${dir}; cat ${dir}/*/* "$0"`;
    const outcome = await run({ script, effective_user: 'root', secrets: { effective_user_password: PASSWORD } });
    expect(outcome.exitStatus).toBe(0);
    expect(outcome.stdout).toMatch(/^root\n/);
    expect(outcome.stdout).toContain('foreman-ssh-cmd-');
    expect(outcome.stdout + outcome.stderr + outcome.debug).not.toContain('s3cret');
  });

  it.each([
    [
      'the wrong password',
      '%u ALL=(ALL) ALL',
      { effective_user_password: 'wr0ng' },
      /the password \(effective_user_password\) was not accepted\n$/,
    ],
    ['no password', '%u ALL=(ALL) ALL', {}, /it asks for a password and none was given \(effective_user_password\)\n$/],
    ['no rule', '', { effective_user_password: PASSWORD }, /the rules on the host do not allow \S+ to run \S+\/script as root\n$/],
    ['a rule for another command', '%u ALL=(root) NOPASSWD: /bin/true', {}, /(do not allow \S+ to run|asks for a password)/],
  ])('says so with %s', async (_name, rule, secrets, line) => {
    await allow(rule);
    const outcome = await run({ script: `touch ${dir}/ran`, effective_user: 'root', secrets });
    expect(outcome.exitStatus).toBe('EXCEPTION');
    expect(outcome.stdout + outcome.stderr).toBe('');
    expect(outcome.debug).toMatch(line);
    expect(outcome.debug).toMatch(/^Error initializing command: cannot switch from \S+ to the effective user root with sudo: .*\n$/);
    expect(outcome.debug).not.toMatch(/s3cret|wr0ng/);
    expect(await readdir(dir)).toEqual([]);
  });

  it('gives a wrong password once, so that it counts once towards a lock-out', async () => {
    await allow(`Defaults:%u logfile=${dir}/log, passwd_tries=9`, '%u ALL=(ALL) ALL');
    await run({ script: 'true', effective_user: 'root', secrets: { effective_user_password: 'wr0ng' } });
    expect(await readFile(join(dir, 'log'), 'utf8')).toContain(' 1 incorrect password attempt ');
  });

  it('tries again with a terminal where sudo wants one', async () => {
    await allow('Defaults:%u requiretty', '%u ALL=(ALL) NOPASSWD: ALL');
    expect(await run({ script: 'id -un; printf "a\\nb"; exit 4', effective_user: 'root' })).toEqual({
      exitStatus: 4,
      stdout: 'root\na\nb',
      stderr: '',
      debug: '',
    });
    await allow('Defaults:%u requiretty', '%u ALL=(ALL) ALL');
    const withPassword = { script: 'id -un; echo err >&2', effective_user: 'root', secrets: { effective_user_password: PASSWORD } };
    expect(await run(withPassword)).toEqual({ exitStatus: 0, stdout: 'root\nerr\n', stderr: '', debug: '' });
    const big = `${'# filler that is never read\n'.repeat(8_000)}cat "$0" | wc -c; exit 3`;
    expect(await run({ ...withPassword, script: big })).toMatchObject({ exitStatus: 3, stdout: `${big.length + 1}\n` });
    const wrong = await run({ script: 'true', effective_user: 'root', secrets: { effective_user_password: 'wr0ng' } });
    expect(wrong.debug).toMatch(/was not accepted\n$/);
    expect(wrong.debug).not.toContain('wr0ng');
  });

  it('ends what runs as another user when it is cancelled, which the login user could not', async () => {
    await allow('%u ALL=(ALL) NOPASSWD: ALL');
    const ledger = join(dir, 'ledger');
    const script = `trap '' TERM; (while :; do echo x >> ${ledger}; sleep 0.05; done) & until [ -s ${ledger} ]; do sleep 0.05; done; echo started; wait`;
    const job = lab.start({ script, effective_user: 'root', remote_working_dir: dir }, { graceMs: 500, id });
    await job.seen('stdout', 'started');
    job.cancel();
    expect(await job.result).toEqual({ exitStatus: 137 });
    const size = (await readFile(ledger)).length;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect((await readFile(ledger)).length).toBe(size);
  });

  it.each(['no-such-user', `$(touch /tmp/pwned)`, `a b'c"d`, '*', '!root'])('says that there is no user %s', async (user) => {
    await allow('%u ALL=(ALL) NOPASSWD: ALL');
    const outcome = await run({ script: 'true', effective_user: user });
    expect(outcome.exitStatus).toBe('EXCEPTION');
    expect(outcome.debug).toContain(`to the effective user ${user} with sudo: there is no such user on the host\n`);
    expect(await readdir('/tmp')).not.toContain('pwned');
  });

  it.each(['-s', 'a\nb', 'root:x'])('refuses %j as a user', async (user) => {
    const outcome = await run({ script: 'true', effective_user: user });
    expect(outcome).toMatchObject({
      exitStatus: 'EXCEPTION',
      debug: 'Error initializing command: the effective user is not a valid user name\n',
    });
  });

  it('names the supported methods when another is asked for', async () => {
    const outcome = await run({ script: 'true', effective_user: 'root', effective_user_method: 'doas' });
    expect(outcome.debug).toBe('Error initializing command: effective user method "doas" is not supported; supported are sudo, dzdo, su\n');
  });

  it('switches nothing when it is the login user', async () => {
    const outcome = await run({ script: 'id -un; basename "$(dirname "$0")"', effective_user: server.user });
    expect(outcome).toMatchObject({ exitStatus: 0, stdout: `${server.user}\nforeman-ssh-cmd-${id}\n` });
  });

  it('is reached with su and a password, and says when that is wrong', async () => {
    const input = { script: 'id -un; pwd; echo err >&2; exit 5', effective_user: target.name, effective_user_method: 'su' };
    expect(await run({ ...input, secrets: { effective_user_password: PASSWORD } })).toEqual({
      exitStatus: 5,
      stdout: `${target.name}\n${target.home}\n`,
      stderr: 'err\n',
      debug: '',
    });
    const wrong = await run({ ...input, secrets: { effective_user_password: 'wr0ng' } });
    expect(wrong.debug).toMatch(/with su: the password \(effective_user_password\) was not accepted\n$/);
    const none = await run(input);
    expect(none.debug).toMatch(/with su: it asks for a password and none was given \(effective_user_password\)\n$/);
    expect([wrong.exitStatus, none.exitStatus]).toEqual(['EXCEPTION', 'EXCEPTION']);
  });

  it('uses a place that the user can write to when the working directory is not one', async () => {
    await allow('%u ALL=(ALL) NOPASSWD: ALL');
    const mine = (await run({ script: 'd=$(mktemp -d); chmod 755 "$d"; echo "$d"' })).stdout.trim();
    const outcome = await run({ script: 'id -un; dirname "$(dirname "$0")"', effective_user: target.name, remote_working_dir: mine });
    expect(outcome).toEqual({ exitStatus: 0, stdout: `${target.name}\n/tmp\n`, stderr: '', debug: '' });
    await run({ script: `chmod 700 ${mine}` });
    const closed = await run({ script: 'true', effective_user: target.name, remote_working_dir: mine });
    expect(closed.debug).toMatch(/cannot reach or execute \S+; every directory above it must be open to \S+\n$/);
    expect((await run({ script: `rmdir ${mine}` })).exitStatus).toBe(0);
  });
});

describe('a host without sudo, or with a stand-in for it', () => {
  let server: Sshd;
  let lab: ScriptLab;
  let bin: string;
  let work: string;
  beforeAll(async () => {
    bin = `/var/tmp/rex-spec-bin-${randomUUID()}`;
    await mkdir(bin);
    for (const tool of ['mkdir', 'chmod', 'rm', 'head', 'wc', 'sleep', 'setsid', 'id']) await symlink(`/usr/bin/${tool}`, join(bin, tool));
    work = await mkdtemp('/var/tmp/rex-spec-');
    await chmod(work, 0o1777);
    server = await startSshd({ account: { sudoers: '%u ALL=(ALL) NOPASSWD: ALL' }, config: [`SetEnv PATH=${bin}`] });
    lab = new ScriptLab(server);
  });
  afterAll(async () => {
    await server.stop();
    await rm(bin, { recursive: true });
    await rm(work, { recursive: true });
  });

  it('says that it is not installed', async () => {
    const outcome = await lab.run({ script: 'true', effective_user: 'root', remote_working_dir: work });
    expect(outcome).toEqual({
      exitStatus: 'EXCEPTION',
      stdout: '',
      stderr: '',
      debug: `Error initializing command: the effective user root needs sudo, which is not installed on ${server.host}\n`,
    });
    expect(await readdir(work)).toEqual([]);
  });

  it('uses dzdo in the same way', async () => {
    await symlink('/usr/bin/sudo', join(bin, 'dzdo'));
    const outcome = await lab.run({ script: 'id -un', effective_user: 'root', effective_user_method: 'dzdo' });
    expect(outcome).toEqual({ exitStatus: 0, stdout: 'root\n', stderr: '', debug: '' });
  });
});
