import type { Clock } from '@dynflow/kernel';

/** A clock that can be ended: appointments that are still to come are taken back, and later ones are never kept. */
export class EndingClock implements Clock {
  readonly #clock: Clock;
  readonly #open = new Set<() => void>();
  #isEnded = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  at(atMs: number, callback: () => void): () => void {
    if (this.#isEnded) {
      return () => undefined;
    }
    const cancel = this.#clock.at(atMs, () => {
      this.#open.delete(takeBack);
      callback();
    });
    const takeBack = (): void => {
      this.#open.delete(takeBack);
      cancel();
    };
    this.#open.add(takeBack);
    return takeBack;
  }

  /** Lets nothing happen any more that was put off: whoever tries again and again would do so for ever. */
  end(): void {
    this.#isEnded = true;
    for (const takeBack of [...this.#open]) {
      takeBack();
    }
  }
}
