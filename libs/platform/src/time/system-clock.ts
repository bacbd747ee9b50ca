import type { Clock } from '@dynflow/kernel';

/** Timers do not know when the wall clock is set forward: after so long it is looked at. Beyond 2³¹ ms Node.js fires a timer at once. */
const longestTimeoutMs = 60_000;

/**
 * The machine's time and timers. Appointments may be any number of years away, and keep to the wall clock when it is set: at once when
 * it is set back, within a minute when it is set forward.
 */
export class SystemClock implements Clock {
  readonly #keepsProcess: boolean;

  /** With `keepsProcess: false` a waiting appointment does not keep the process from ending. */
  constructor({ keepsProcess = true }: { keepsProcess?: boolean } = {}) {
    this.#keepsProcess = keepsProcess;
  }

  now(): number {
    return Date.now();
  }

  at(atMs: number, callback: () => void): () => void {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const delayMs = Math.min(Math.max(Math.ceil(atMs - this.now()), 0), longestTimeoutMs);
      // Timers run on a clock of their own and may ring a moment early, so the time is looked up again.
      timer = setTimeout(() => (this.now() < atMs ? arm() : callback()), delayMs);
      if (!this.#keepsProcess) {
        timer.unref();
      }
    };
    arm();
    return () => clearTimeout(timer);
  }
}
