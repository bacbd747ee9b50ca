import type { Clock } from '@dynflow/kernel';

/** A process of an executor that holds steps. */
export interface Holder {
  readonly plugin: string;
  readonly executor: string;
  readonly startId: string;
}

export interface SilentHoldersOptions {
  readonly clock: Clock;
  /** Silent for so long: gone, and with it what it held. */
  readonly lostAfterMs: number;
  /** When this process of the executor was heard last; undefined: never. */
  readonly lastHeardMs: (holder: Holder) => number | undefined;
}

/** A gap of this many rounds between two looks means that this process itself stood still. */
const MISSED_ROUNDS = 5;

/**
 * Says who of those that hold steps is gone: fallen silent, or never heard since this gateway started or took over. Only time during which
 * the gateway itself was there and connected counts as silence.
 */
export class SilentHolders {
  readonly #options: SilentHoldersOptions;
  #listeningSinceMs: number;
  #lookedAtMs: number;

  constructor(options: SilentHoldersOptions) {
    this.#options = options;
    this.#listeningSinceMs = options.clock.now();
    this.#lookedAtMs = this.#listeningSinceMs;
  }

  /** The bus was away, or these holders are new to this gateway: silence counts from now on. */
  listenAnew(): void {
    this.#listeningSinceMs = this.#options.clock.now();
  }

  /** Those of the holders that are gone now. To be asked every `everyMs`. */
  gone(holders: readonly Holder[], everyMs: number): Holder[] {
    const { clock, lostAfterMs, lastHeardMs } = this.#options;
    const nowMs = clock.now();
    if (nowMs - this.#lookedAtMs > MISSED_ROUNDS * everyMs) {
      this.listenAnew();
    }
    this.#lookedAtMs = nowMs;
    return holders.filter((holder) => nowMs - Math.max(lastHeardMs(holder) ?? 0, this.#listeningSinceMs) >= lostAfterMs);
  }
}
