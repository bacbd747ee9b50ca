/** Lets so many in at a time; the others wait in the order they came. */
export class Limiter {
  private inside = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly limit: number) {}

  /** True when nobody is inside. */
  get isIdle(): boolean {
    return this.inside === 0;
  }

  /** Does the work when there is room. A signal that fires while it waits takes it out of the queue and throws the signal's reason. */
  async run<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    await this.enter(signal);
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      // The place is handed on rather than given up, so that nobody who comes just now gets ahead.
      if (next === undefined) this.inside -= 1;
      else next();
    }
  }

  private async enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.inside < this.limit) {
      this.inside += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.waiting.splice(this.waiting.indexOf(enter), 1);
        reject(signal?.reason as Error);
      };
      const enter = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      this.waiting.push(enter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
