import { messageOf } from '@dynflow/kernel';
import type { PluginLog } from '@dynflow/plugin';

/** What has been opened, to be closed in reverse order; one that fails does not keep the others open. */
export class Closers {
  readonly #closers: (() => Promise<void>)[] = [];

  add(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  async closeAll(log: PluginLog): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) {
      await close().catch((error: unknown) => log.warn('something did not close as it should', { reason: messageOf(error) }));
    }
  }
}
