import { DynflowError } from '@dynflow/kernel';

/** Thrown when what a test waits for did not come within its time; the message says what was seen instead. */
export class WaitTimedOutError extends DynflowError {
  constructor(what: string, timeoutMs: number, seen: string) {
    super('DYN_TESTING_WAIT_TIMED_OUT', `waited ${timeoutMs} ms for ${what}; ${seen}`);
  }
}

interface Waiter {
  check(): boolean;
}

/** Lets callers wait for a condition over state that changes in steps: the owner calls `changed()` after each. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /**
   * Resolves with the first value other than undefined that `find` gives, at once or after a change.
   *
   * @throws {WaitTimedOutError} when that takes longer than `timeoutMs`.
   */
  until<T>(find: () => T | undefined, options: { timeoutMs: number; what: string; seen: () => string }): Promise<T> {
    const found = find();
    if (found !== undefined) {
      return Promise.resolve(found);
    }
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiter);
        reject(new WaitTimedOutError(options.what, options.timeoutMs, options.seen()));
      }, options.timeoutMs);
      const waiter: Waiter = {
        check: () => {
          const value = find();
          if (value === undefined) {
            return false;
          }
          clearTimeout(timer);
          resolve(value);
          return true;
        },
      };
      this.#waiting.add(waiter);
    });
  }

  changed(): void {
    for (const waiter of this.#waiting) {
      if (waiter.check()) {
        this.#waiting.delete(waiter);
      }
    }
  }
}
