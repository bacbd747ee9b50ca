import { messageOf } from '@dynflow/kernel';

/** What was started, to be stopped in the reverse order. */
export class Closers {
  readonly #closers: (() => Promise<void>)[] = [];

  add(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** Stops everything, also when something does not stop as it should; `report` hears of that. */
  async closeAll(report: (message: string) => void): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) {
      await close().catch((error: unknown) => report(messageOf(error)));
    }
  }
}
