import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * Passwords with which a job on a host may report about its own task, and nothing else. They live as long as the process: the job that
 * had one asks in vain after a restart and is found by its executor instead.
 */
export class OneTimePasswords {
  readonly #passwords = new Map<string, string>();

  /** A fresh password for a task, 32 hexadecimal characters; an earlier one is void. */
  issue(task: string): string {
    const password = randomBytes(16).toString('hex');
    this.#passwords.set(task, password);
    return password;
  }

  /**
   * Checks an `Authorization` header: Basic, with the task's id as user. Constant time.
   *
   * @param isLast `done` uses the password up, `update` does not.
   */
  accepts(header: string, task: string, isLast: boolean): boolean {
    const encoded = /^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header)?.[1];
    const [user, ...rest] = Buffer.from(encoded ?? '', 'base64')
      .toString('utf8')
      .split(':');
    const expected = this.#passwords.get(task);
    if (encoded === undefined || user !== task || expected === undefined || !equals(rest.join(':'), expected)) {
      return false;
    }
    if (isLast) {
      this.#passwords.delete(task);
    }
    return true;
  }
}

function equals(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
