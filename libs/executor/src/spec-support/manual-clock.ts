import type { Clock } from '@dynflow/kernel';

/** A clock that goes only when it is told to. */
export class ManualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  #appointments: { atMs: number; callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    const appointment = { atMs, callback };
    this.#appointments.push(appointment);
    return () => {
      this.#appointments = this.#appointments.filter((one) => one !== appointment);
    };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#appointments.filter((one) => one.atMs <= this.#nowMs);
    this.#appointments = this.#appointments.filter((one) => one.atMs > this.#nowMs);
    for (const { callback } of due) {
      callback();
    }
  }

  /** Lets time pass, second by second and a turn of the event loop between, until there is something to see. */
  async advanceUntil<Value>(look: () => Value | undefined | false, limitSeconds = 120): Promise<Value> {
    for (let second = 0; second < limitSeconds; second += 1) {
      await turns();
      const value = look();
      if (value !== undefined && value !== false) {
        return value;
      }
      this.advance(1_000);
    }
    throw new Error(`nothing to see after ${limitSeconds} s`);
  }

  /** Lets so many seconds pass and everything happen that happens then. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await turns();
      this.advance(1_000);
    }
    await turns();
  }
}

/** A few turns of the event loop: all that needs no time and no other process has then happened. */
export async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Something that code waits for until the test opens it. */
export class Gate {
  readonly passed: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.passed = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}
