import type { HeartbeatV1 } from '@dynflow/contracts';
import type { HeldStep } from './held-step.js';

/** Every claim of this executor's that its owner may count on, with those who wait for changes. */
export class HeldSteps {
  readonly #byClaim = new Map<string, HeldStep>();
  /** Called when a step comes or goes. */
  onChange: () => void = () => undefined;
  #watchers: { isReached: () => boolean; resolve: () => void }[] = [];

  add(step: HeldStep): void {
    this.#byClaim.set(step.claim, step);
    this.onChange();
  }

  get(claim: string): HeldStep | undefined {
    return this.#byClaim.get(claim);
  }

  remove(step: HeldStep): void {
    this.#byClaim.delete(step.claim);
    this.onChange();
    this.changed();
  }

  [Symbol.iterator](): IterableIterator<HeldStep> {
    return this.#byClaim.values();
  }

  get size(): number {
    return this.#byClaim.size;
  }

  /** How many are not ended yet: claimed or running. */
  get liveCount(): number {
    let count = 0;
    for (const step of this) {
      count += step.phase === 'ended' ? 0 : 1;
    }
    return count;
  }

  list(): HeartbeatV1['held'] {
    return [...this].map((step) => ({ claim: step.claim, plan: step.token.plan, step: step.token.step }));
  }

  /** Tells those who wait that a step changed its phase or is gone. */
  changed(): void {
    if (this.#watchers.length > 0) {
      const watchers = this.#watchers;
      this.#watchers = watchers.filter((watcher) => !watcher.isReached());
      for (const watcher of watchers) {
        if (!this.#watchers.includes(watcher)) {
          watcher.resolve();
        }
      }
    }
  }

  /** Resolved when the condition holds; looked at after each change. */
  async until(isReached: () => boolean): Promise<void> {
    if (isReached()) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#watchers.push({ isReached, resolve });
    });
  }
}
