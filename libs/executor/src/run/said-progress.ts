import type { Clock } from '@dynflow/kernel';

/** How often the progress of a step is sent at most. */
const EVERY_MS = 250;

/** Sends what a run says of its progress: the first word at once, further ones in a steady rhythm, and always the latest. */
export class SaidProgress {
  readonly #clock: Clock;
  readonly #send: (fraction: number) => void;
  #sentAtMs = -Infinity;
  #unsent: number | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, send: (fraction: number) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** What is no fraction counts as the nearest one. */
  say(fraction: number): void {
    this.#unsent = Number.isNaN(fraction) ? 0 : Math.min(1, Math.max(0, fraction));
    if (this.#clock.now() - this.#sentAtMs >= EVERY_MS) {
      this.#flush();
    } else {
      this.#cancelTimer ??= this.#clock.at(this.#sentAtMs + EVERY_MS, () => this.#flush());
    }
  }

  /** @returns what was said and not sent: it has to go along with the outcome. */
  end(): number | undefined {
    this.#cancelTimer?.();
    const unsent = this.#unsent;
    this.#unsent = undefined;
    return unsent;
  }

  #flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const unsent = this.#unsent;
    if (unsent !== undefined) {
      this.#unsent = undefined;
      this.#sentAtMs = this.#clock.now();
      this.#send(unsent);
    }
  }
}
