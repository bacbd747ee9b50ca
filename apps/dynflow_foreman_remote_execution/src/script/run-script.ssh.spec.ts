import { randomUUID } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startSshHost, startSshd } from '@dynflow/testing';
import type { SshServer } from '@dynflow/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ScriptLab } from './script-lab.js';

const servers: Record<string, () => Promise<SshServer>> = {
  'sshd as the current user': () => startSshd(),
  'sshd with a throwaway account': () => startSshd({ account: {} }),
  'the ssh2 server': () => startSshHost(),
};

describe.each(Object.keys(servers))('a script on %s', (name) => {
  let server: SshServer;
  let lab: ScriptLab;
  /** A directory that the scripts may write to; nothing may be left in it. */
  let dir: string;

  beforeAll(async () => {
    server = await (servers[name] as () => Promise<SshServer>)();
    lab = new ScriptLab(server);
    dir = `/var/tmp/rex-spec-${randomUUID()}`;
    expect((await lab.run({ script: `mkdir -m 700 ${dir}` })).exitStatus).toBe(0);
  });
  afterAll(async () => {
    const left = await readdir(dir);
    await lab.run({ script: `rm -rf ${dir}` });
    await server.stop();
    expect(left).toEqual([]);
  });

  it.each([0, 7, 255])('ends with its exit status %i', async (status) => {
    const outcome = await lab.run({ script: `exit ${status}`, remote_working_dir: dir });
    expect(outcome).toEqual({ exitStatus: status, stdout: '', stderr: '', debug: '' });
  });

  it('keeps stdout and stderr apart and each in order', async () => {
    const script = 'for i in 1 2 3; do echo out $i; echo err $i >&2; done';
    const outcome = await lab.run({ script, remote_working_dir: dir });
    expect(outcome).toEqual({ exitStatus: 0, stdout: 'out 1\nout 2\nout 3\n', stderr: 'err 1\nerr 2\nerr 3\n', debug: '' });
  });

  it('delivers output while the script runs', async () => {
    const gate = join(dir, 'gate');
    // The script goes on only after its first line was seen here.
    const run = lab.start({
      script: `echo first; until [ -e ${gate} ]; do sleep 0.05; done; rm ${gate}; echo second`,
      remote_working_dir: dir,
    });
    await run.seen('stdout', 'first\n');
    expect(run.text('stdout')).toBe('first\n');
    await lab.run({ script: `touch ${gate}` });
    expect(await run.result).toEqual({ exitStatus: 0 });
    expect(run.text('stdout')).toBe('first\nsecond\n');
  });

  it('repairs a character that arrives in two pieces, and replaces what is no UTF-8', async () => {
    const gate = join(dir, 'gate');
    const script = `printf 'a\\303'; printf '\\342\\202' >&2; until [ -e ${gate} ]; do sleep 0.05; done; rm ${gate}; printf '\\251b'; printf '\\254' >&2`;
    const run = lab.start({ script, remote_working_dir: dir });
    await run.seen('stdout', 'a');
    await lab.run({ script: `touch ${gate}` });
    await run.result;
    expect(run.text('stdout')).toBe('aéb');
    expect(run.text('stderr')).toBe('€');
    expect((await lab.run({ script: "printf 'x\\377y\\303'", remote_working_dir: dir })).stdout).toBe('x\uFFFDy\uFFFD');
  });

  it('delivers 5 MB whole, in pieces that a message can hold', async () => {
    const run = lab.start({ script: `seq 1 720000; seq 1 1000 >&2`, remote_working_dir: dir });
    expect(await run.result).toEqual({ exitStatus: 0 });
    const lines = run.text('stdout').split('\n');
    expect(run.text('stdout').length).toBeGreaterThan(4_900_000);
    expect(lines).toHaveLength(720_001);
    expect(lines.every((line, index) => line === (index === 720_000 ? '' : String(index + 1)))).toBe(true);
    expect(run.text('stderr').split('\n')).toHaveLength(1001);
    expect(Math.max(...run.chunks.map((chunk) => chunk.text.length))).toBeLessThanOrEqual(64 * 1024);
  });

  it('makes the host wait for a slow reader', async () => {
    const ledger = join(dir, 'written');
    let release: () => void = () => undefined;
    const blocked = new Promise<void>((resolve) => (release = resolve));
    const script = `i=0; while [ $i -lt 160 ]; do head -c 65536 /dev/zero | tr '\\0' x; i=$((i+1)); echo $i > ${ledger}; done; rm ${ledger}`;
    const run = lab.start({ script, remote_working_dir: dir }, { onWrite: () => blocked });
    await run.seen('stdout', 'x');
    // Other jobs are not held up, and the producer stands still: its ledger does not move between two jobs' times.
    const read = async (): Promise<string> => (await lab.run({ script: `sleep 0.3; cat ${ledger}` })).stdout;
    let last = await read();
    for (let next = await read(); next !== last; next = await read()) last = next;
    expect(last).toMatch(/^\d+\n$/);
    expect(Number(last)).toBeLessThan(160);
    expect(run.chunks).toHaveLength(1);
    release();
    expect(await run.result).toEqual({ exitStatus: 0 });
    expect(run.text('stdout')).toHaveLength(160 * 65_536);
  });

  it('uploads script and wrapper for the login user only, without carriage returns, with a line end', async () => {
    const script =
      'd=$(dirname "$0")\r\nstat -c "%a %n" "$d" "$d"/script*\r\necho "$0"\r\ntail -c 4 "$0" | tr -d " " | od -An -c\r\nexit 3';
    const id = randomUUID();
    const outcome = await lab.run({ script, remote_working_dir: dir }, { id });
    const jobDir = `${dir}/foreman-ssh-cmd-${id}`;
    expect(outcome.exitStatus).toBe(3);
    expect(outcome.stdout.split('\n').slice(0, 4)).toEqual([
      `700 ${jobDir}`,
      `500 ${jobDir}/script`,
      `500 ${jobDir}/script-wrapper`,
      `${jobDir}/script`,
    ]);
    expect(outcome.stdout.split('\n')[4]?.trim().split(/\s+/)).toEqual(['t', '3', '\\n']);
  });

  it('gives the script nothing to read and a session of its own', async () => {
    const outcome = await lab.run({
      script: 'cat; readlink /proc/$$/fd/0; cut -d" " -f5,6 /proc/$$/stat; echo $$',
      remote_working_dir: dir,
    });
    const [input, group, pid] = outcome.stdout.trim().split('\n');
    expect(input).toBe('/dev/null');
    expect(group).toBe(`${pid} ${pid}`);
  });

  it('keeps the directory when told to, with the process id and the exit status', async () => {
    const id = randomUUID();
    const jobDir = `${dir}/foreman-ssh-cmd-${id}`;
    const outcome = await lab.run({ script: 'echo $$; exit 9', remote_working_dir: dir, cleanup_working_dirs: false }, { id });
    expect(outcome.exitStatus).toBe(9);
    expect((await readdir(jobDir)).sort()).toEqual(['exit_code', 'pid', 'script', 'script-wrapper']);
    expect(await readFile(join(jobDir, 'pid'), 'utf8')).toBe(outcome.stdout);
    expect(await readFile(join(jobDir, 'exit_code'), 'utf8')).toBe('9\n');
    expect(((await stat(join(jobDir, 'script'))).mode & 0o777).toString(8)).toBe('500');
    await lab.run({ script: `rm -rf ${jobDir}` });
  });

  it('makes the working directory where it is missing, and takes hostile names as they are', async () => {
    const hostile = `${dir}/a b'c"$(id)\`id\`;id & * \\\\ -rf $HOME !! ü #`;
    const outcome = await lab.run({ script: 'dirname "$0"', remote_working_dir: hostile }, { id: 'x' });
    expect(outcome).toEqual({ exitStatus: 0, stdout: `${hostile}/foreman-ssh-cmd-x\n`, stderr: '', debug: '' });
    expect(await readdir(dir)).toEqual([hostile.slice(dir.length + 1)]);
    expect(await readdir(hostile)).toEqual([]);
    await lab.run({ script: `rmdir ${dir}/*` });
  });

  it('runs a script of 1 MB, and one with another interpreter', async () => {
    const big = `exit 4\n${'# é filler that is never read\n'.repeat(33_000)}`;
    expect((await lab.run({ script: big, remote_working_dir: dir })).exitStatus).toBe(4);
    expect((await lab.run({ script: '#!/usr/bin/perl\nprint "perl\\n"; exit 5;', remote_working_dir: dir })).stdout).toBe('perl\n');
  });

  it('reports a script that cannot be started as its shell does', async () => {
    const outcome = await lab.run({ script: '#!/no/such/interpreter\n', remote_working_dir: dir });
    expect(outcome.exitStatus).toBe(127);
    expect(outcome.stderr).toContain('not found');
  });

  it('ends with 128 and the signal for a script that a signal ended', async () => {
    expect(await lab.run({ script: 'kill -KILL $$', remote_working_dir: dir })).toEqual({
      exitStatus: 137,
      stdout: '',
      stderr: '',
      debug: '',
    });
  });

  it('lets the script handle an interrupt, which a shell in the background could not', async () => {
    const outcome = await lab.run({ script: 'trap "echo caught" INT; kill -INT $$', remote_working_dir: dir });
    expect(outcome).toEqual({ exitStatus: 0, stdout: 'caught\n', stderr: '', debug: '' });
  });

  it('does not wait for a process that the script left behind with its output', async () => {
    const outcome = await lab.run(
      { script: 'sleep 300 & echo $! > /dev/null; echo done; echo $!', remote_working_dir: dir },
      { lingerMs: 300 },
    );
    expect(outcome.exitStatus).toBe(0);
    const [done, pid] = outcome.stdout.split('\n');
    expect(done).toBe('done');
    expect(outcome.debug).toContain('still holds its output');
    // It was left alone: whoever starts a service in a script wants it to stay.
    expect((await lab.run({ script: `kill ${pid}` })).exitStatus).toBe(0);
  });

  it('leaves an existing directory of that name alone', async () => {
    await lab.run({ script: `mkdir ${dir}/foreman-ssh-cmd-taken && touch ${dir}/foreman-ssh-cmd-taken/precious` });
    const outcome = await lab.run({ script: 'echo ran', remote_working_dir: dir }, { id: 'taken' });
    expect(outcome.exitStatus).toBe('EXCEPTION');
    expect(outcome.stdout).toBe('');
    expect(outcome.debug).toMatch(/^Error initializing command: cannot make the directory .*foreman-ssh-cmd-taken on .*File exists\n$/);
    expect(await readdir(join(dir, 'foreman-ssh-cmd-taken'))).toEqual(['precious']);
    await lab.run({ script: `rm -r ${dir}/foreman-ssh-cmd-taken` });
  });

  it('says what is wrong with a working directory', async () => {
    const relative = await lab.run({ script: 'true', remote_working_dir: 'tmp' });
    expect(relative.debug).toMatch(/^Error initializing command: the remote working directory must be an absolute path/);
    const file = await lab.run({ script: 'true', remote_working_dir: '/etc/passwd' });
    expect(file.debug).toMatch(/^Error initializing command: cannot make the directory \/etc\/passwd\/foreman-ssh-cmd-.*\n$/);
    expect([relative.exitStatus, file.exitStatus]).toEqual(['EXCEPTION', 'EXCEPTION']);
  });

  it('stops the job and passes the error on when the output cannot be written', async () => {
    const run = lab.start(
      { script: `trap 'touch ${dir}/stopped; exit 1' TERM; echo one; while :; do sleep 0.05; done`, remote_working_dir: dir },
      { onWrite: () => Promise.reject(new Error('sink is gone')) },
    );
    await expect(run.result).rejects.toThrow('sink is gone');
    expect((await lab.run({ script: `rm ${dir}/stopped` })).exitStatus).toBe(0);
  });
});

describe.each([
  ['sshd', () => startSshd({ host: '::1' })],
  ['the ssh2 server', () => startSshHost({ host: '::1' })],
] as const)('%s on ::1', (_name, start) => {
  it.each(['::1', '[::1]'])('runs a script on %s', async (hostname) => {
    const server = await start();
    try {
      const outcome = await new ScriptLab(server).run({ hostname, script: 'echo "$SSH_CONNECTION"; exit 3' });
      expect(outcome.exitStatus).toBe(3);
      expect(outcome.debug).toBe('');
    } finally {
      await server.stop();
    }
  });
});
