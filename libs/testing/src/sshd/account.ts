import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** `useradd` takes a lock on the password file and gives up soon when another has it. */
const LOCK_ATTEMPTS = 20;

export interface AccountOptions {
  readonly password?: string;
  /** Rules for sudo; `%u` stands for the account's name. Written to `/etc/sudoers.d`, checked by `visudo` first. */
  readonly sudoers?: string;
  /** Default `/bin/sh`, which has no start-up files that take time. */
  readonly shell?: string;
  readonly groups?: readonly string[];
}

/** A throwaway account of this machine. */
export interface Account {
  readonly name: string;
  readonly home: string;
  /** Ends its processes and removes the account, its home and its rules for sudo. */
  remove(): Promise<void>;
}

/**
 * Makes an account with a random name.
 *
 * @throws Error when not root.
 */
export async function makeAccount(options: AccountOptions = {}): Promise<Account> {
  if (process.getuid?.() !== 0) throw new Error('a throwaway account can be made by root only');
  const name = `dyn${randomBytes(4).toString('hex')}`;
  const home = `/home/${name}`;
  const groups = options.groups === undefined ? [] : ['-G', options.groups.join(',')];
  await underLock(() => run('useradd', ['-m', '-d', home, '-s', options.shell ?? '/bin/sh', ...groups, name]));
  const rules = `/etc/sudoers.d/${name}`;
  // For a test run that ends without tidying up: an account is too much to leave behind.
  const removeWithUs = (): void => {
    rmSync(rules, { force: true });
    spawnSync('userdel', ['-rf', name]);
  };
  process.once('exit', removeWithUs);
  const account: Account = {
    name,
    home,
    remove: async () => {
      await rm(rules, { force: true });
      await run('pkill', ['-KILL', '-U', name]).catch(() => undefined);
      await underLock(() => run('userdel', ['-f', name]));
      await rm(home, { recursive: true, force: true });
      process.off('exit', removeWithUs);
    },
  };
  try {
    // `*` is no password but not a lock: sshd refuses locked accounts without PAM, also with a key.
    if (options.password === undefined) await underLock(() => run('usermod', ['-p', '*', name]));
    else await setPassword(name, options.password);
    if (options.sudoers !== undefined) {
      const draft = `${home}/sudoers`;
      await writeFile(draft, `${options.sudoers.replaceAll('%u', name)}\n`, { mode: 0o440 });
      await run('visudo', ['-cf', draft]);
      await mkdir('/etc/sudoers.d', { recursive: true });
      await run('install', ['-m', '0440', draft, rules]);
      await rm(draft);
    }
    return account;
  } catch (error) {
    await account.remove();
    throw error;
  }
}

async function setPassword(name: string, password: string): Promise<void> {
  await underLock(async () => {
    const child = run('chpasswd', [], {});
    child.child.stdin?.end(`${name}:${password}\n`);
    await child;
  });
}

async function underLock(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempt >= LOCK_ATTEMPTS || !/lock/i.test(String(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50 * attempt));
    }
  }
}
