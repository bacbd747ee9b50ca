import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { makeAccount, startSshd } from '@dynflow/testing';
import type { SshdOptions } from '@dynflow/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ScriptLab } from './script-lab.js';

const run = promisify(execFile);

/** A lab on a host of its own, gone afterwards. */
async function withHost(options: SshdOptions, work: (lab: ScriptLab) => Promise<void>): Promise<void> {
  const server = await startSshd(options);
  try {
    await work(new ScriptLab(server));
  } finally {
    await server.stop();
  }
}

describe('a working directory', () => {
  let dir: string;
  beforeAll(async () => {
    dir = `/var/tmp/rex-spec-${randomUUID()}`;
    await mkdir(dir);
  });
  afterAll(() => rm(dir, { recursive: true }));

  it.each([
    ['the login user', {}],
    ['another user', { effective_user: 'daemon' }],
  ])('that is mounted noexec is found out before the script is started, for %s', async (_name, input) => {
    await run('mount', ['-t', 'tmpfs', '-o', 'noexec,mode=1777', 'rex-spec', dir]);
    try {
      await withHost({ account: { sudoers: '%u ALL=(ALL) NOPASSWD: ALL' } }, async (lab) => {
        const outcome = await lab.run({ script: `touch ${dir}/ran`, remote_working_dir: dir, ...input });
        expect(outcome).toEqual({
          exitStatus: 'EXCEPTION',
          stdout: '',
          stderr: '',
          debug:
            `Error initializing command: scripts cannot be executed in ${dir} on 127.0.0.1: ` +
            'it is mounted noexec, or a security module forbids it; set another remote working directory\n',
        });
        expect(await readdir(dir)).toEqual([]);
      });
    } finally {
      await run('umount', [dir]);
    }
  });

  it('that is full is told from others', async () => {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=1777', 'rex-spec', dir]);
    try {
      await withHost({ account: {} }, async (lab) => {
        const outcome = await lab.run({ script: `# ${'x'.repeat(200_000)}`, remote_working_dir: dir });
        expect(outcome.exitStatus).toBe('EXCEPTION');
        expect(outcome.debug).toMatch(
          /^Error initializing command: cannot write the script to \S+ on 127\.0\.0\.1 \(file system full, or a quota used up\?\): .+\n$/,
        );
        expect(await readdir(dir)).toEqual([]);
      });
    } finally {
      await run('umount', [dir]);
    }
  });

  it('that nobody may write to is named with the reason', async () => {
    await withHost({ account: {} }, async (lab) => {
      const outcome = await lab.run({ script: 'true', remote_working_dir: '/' });
      expect(outcome.debug).toMatch(
        /^Error initializing command: cannot make the directory \/foreman-ssh-cmd-\S+ on 127\.0\.0\.1: .*Permission denied\n$/,
      );
      expect(outcome.exitStatus).toBe('EXCEPTION');
    });
  });
});

describe('a login shell', () => {
  it.each([
    ['bash', '/bin/bash'],
    ['dash', '/bin/dash'],
  ])('may be %s', async (_name, shell) => {
    await withHost({ account: { shell } }, async (lab) => {
      expect(await lab.run({ script: 'printf \'%s\\n\' a\\\\b "$0" | head -1; exit 2' })).toMatchObject({
        exitStatus: 2,
        stdout: 'a\\b\n',
        stderr: '',
        debug: '',
      });
    });
  });

  it('may print what it likes: it is not the output of the script', async () => {
    const account = await makeAccount({ shell: '/bin/bash' });
    const server = await startSshd();
    try {
      await writeFile(`${account.home}/.bashrc`, 'echo "rc out"; echo "rc err" >&2\n');
      const lab = new ScriptLab({ ...server, user: account.name });
      expect(await lab.run({ script: 'echo out; echo err >&2' })).toEqual({ exitStatus: 0, stdout: 'out\n', stderr: 'err\n', debug: '' });
    } finally {
      await server.stop();
      await account.remove();
    }
  });

  it('that runs no commands is reported with what it says', async () => {
    await withHost({ account: { shell: '/usr/sbin/nologin' } }, async (lab) => {
      const outcome = await lab.run({ script: 'true' });
      expect(outcome.exitStatus).toBe('EXCEPTION');
      expect(outcome.debug).toMatch(
        /^Error initializing command: 127\.0\.0\.1 did not start \/bin\/sh for \S+ \(forced command, or a login shell that runs no commands\?\): This account is currently not available\.\n$/,
      );
    });
  });

  it('may be replaced by a forced command, which is reported in the same way', async () => {
    await withHost({ config: ['ForceCommand echo only backups here'] }, async (lab) => {
      const outcome = await lab.run({ script: 'true' });
      expect(outcome.exitStatus).toBe('EXCEPTION');
      expect(outcome.debug).toContain('forced command, or a login shell that runs no commands?): only backups here\n');
    });
  });
});

describe('a host that goes away', () => {
  it('while the job is prepared ends the job with a line that nothing was started', async () => {
    // The forced command takes the place of the login shell and waits: the preparation never begins.
    const gate = `/var/tmp/rex-spec-${randomUUID()}`;
    await withHost({ config: [`ForceCommand echo > ${gate}; sleep 300`] }, async (lab) => {
      const job = lab.start({ script: 'true' });
      await fileAppears(gate);
      await (lab.server as Awaited<ReturnType<typeof startSshd>>).dropConnections();
      expect(await job.result).toEqual({ exitStatus: 'EXCEPTION' });
      expect(job.text('debug')).toMatch(
        /^Error initializing command: lost the connection to 127\.0\.0\.1 before the script was started \(.+\)\n$/,
      );
    });
    await rm(gate);
  });
});

describe('errors of the connection', () => {
  it('are one line of the output, and the job ends as EXCEPTION', async () => {
    const lab = new ScriptLab({ host: '127.0.0.1', port: 1, user: 'root', clientKeyPath: '/nowhere' });
    expect(await lab.run({ script: 'true', secrets: { ssh_password: 's3cret' } })).toEqual({
      exitStatus: 'EXCEPTION',
      stdout: '',
      stderr: '',
      debug: 'Error initializing command: connection to 127.0.0.1:1 refused: nothing listens there (ECONNREFUSED)\n',
    });
    expect((await lab.run({ script: 'true' })).debug).toBe(
      'Error initializing command: the private key /nowhere cannot be read (ENOENT)\n',
    );
  });
});

async function fileAppears(path: string): Promise<void> {
  while (
    !(await readFile(path).then(
      () => true,
      () => false,
    ))
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
