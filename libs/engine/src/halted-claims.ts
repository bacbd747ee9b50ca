import type { Outbox } from './ports.js';
import type { Turn } from './turn.js';

/** More than that many are not remembered: the oldest are given up, and end when their executors say so. */
const KEPT = 10_000;

/**
 * Who held steps of plans that were halted, so that they are told again to stop while they say that they go on.
 *
 * Owns: that memory. It is not stored: after a restart such a run goes on to its end, and what it reports is stale.
 */
export class HaltedClaims {
  readonly #outbox: Outbox;
  readonly #words = new Map<string, Turn['events'][number]>();

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** These have been told for the first time. */
  add(told: readonly Turn['events'][number][]): void {
    for (const word of told) {
      this.#words.set(word.message.claim, word);
    }
    for (const claim of this.#words.keys()) {
      if (this.#words.size <= KEPT) {
        break;
      }
      this.#words.delete(claim);
    }
  }

  /** The holder of a claim has reported: it is done with it. */
  reported(claims: readonly { claim: string }[]): void {
    if (this.#words.size > 0) {
      claims.forEach(({ claim }) => this.#words.delete(claim));
    }
  }

  /** An executor said what it holds. */
  async remind(held: readonly { claim: string }[]): Promise<void> {
    const words = this.#words.size === 0 ? [] : held.flatMap(({ claim }) => this.#words.get(claim) ?? []);
    await Promise.allSettled(words.map(async ({ plugin, executor, message }) => this.#outbox.tell(plugin, executor, message)));
  }
}
