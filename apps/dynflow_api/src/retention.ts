import { messageOf, type Clock } from '@dynflow/kernel';
import type { PluginLog } from '@dynflow/plugin';

const EVERY_MS = 60_000;
const PLANS_A_SLICE = 500;

/** Which finished plans may go; what is absent is no reason. */
export interface Surplus {
  /** Those that stopped before this time. */
  olderThanMs?: number;
  /** All but the last so many. */
  keep?: number;
}

export interface RetentionOptions {
  /** Deletes at most `limit` plans. @returns how many it deleted. */
  purge: (surplus: Surplus & { limit: number }) => Promise<number>;
  clock: Clock;
  /** Null: however old they are, they are kept. */
  retentionMs: number | null;
  /** Null: however many there are. */
  retentionPlans: number | null;
  log: PluginLog;
}

/** Deletes finished plans when they are old enough or too many, in small slices, so that nothing else has to wait for it. */
export class Retention {
  readonly #options: RetentionOptions;
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, retentionMs, retentionPlans } = this.#options;
    if (retentionMs !== null || retentionPlans !== null) {
      this.#cancel = clock.at(clock.now() + EVERY_MS, () => {
        this.#running = this.#purge().finally(() => {
          if (this.#cancel !== undefined) {
            this.start();
          }
        });
      });
    }
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#running;
  }

  async #purge(): Promise<void> {
    const { purge, clock, log, retentionMs, retentionPlans } = this.#options;
    const surplus: Surplus = {
      ...(retentionMs === null ? {} : { olderThanMs: clock.now() - retentionMs }),
      ...(retentionPlans === null ? {} : { keep: retentionPlans }),
    };
    try {
      let deleted = 0;
      let slice = PLANS_A_SLICE;
      while (slice === PLANS_A_SLICE && this.#cancel !== undefined) {
        slice = await purge({ ...surplus, limit: PLANS_A_SLICE });
        deleted += slice;
      }
      if (deleted > 0) {
        log.info('deleted finished plans that were older or more than retention allows', { plans: deleted });
      }
    } catch (error) {
      log.warn('finished plans could not be deleted; the next round tries again', { reason: messageOf(error) });
    }
  }
}
