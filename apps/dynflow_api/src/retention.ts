import { messageOf, type Clock } from '@dynflow/kernel';
import type { PluginLog } from '@dynflow/plugin';

const EVERY_MS = 60_000;
const PLANS_A_SLICE = 500;

/** Deletes finished plans when they are old enough, in small slices, so that nothing else has to wait for it. */
export class Retention {
  readonly #options: {
    purge: (olderThanMs: number, limit: number) => Promise<number>;
    clock: Clock;
    retentionMs: number | null;
    log: PluginLog;
  };
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: {
    /** Deletes at most `limit` plans that stopped before this time. @returns how many it deleted. */
    purge: (olderThanMs: number, limit: number) => Promise<number>;
    clock: Clock;
    /** Null: finished plans are kept for ever. */
    retentionMs: number | null;
    log: PluginLog;
  }) {
    this.#options = options;
  }

  start(): void {
    const { clock, retentionMs } = this.#options;
    if (retentionMs !== null) {
      this.#cancel = clock.at(clock.now() + EVERY_MS, () => {
        this.#running = this.#purge(retentionMs).finally(() => {
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

  async #purge(retentionMs: number): Promise<void> {
    const { purge, clock, log } = this.#options;
    try {
      let deleted = 0;
      let slice = PLANS_A_SLICE;
      while (slice === PLANS_A_SLICE && this.#cancel !== undefined) {
        slice = await purge(clock.now() - retentionMs, PLANS_A_SLICE);
        deleted += slice;
      }
      if (deleted > 0) {
        log.info('deleted finished plans that were older than the retention time', { plans: deleted });
      }
    } catch (error) {
      log.warn('finished plans could not be deleted; the next round tries again', { reason: messageOf(error) });
    }
  }
}
