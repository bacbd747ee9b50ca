/**
 * Calls an action once at the end of a turn of the event loop in which it was asked for, however often: what falls together goes out
 * together, and a lone thing waits for nothing.
 */
export class TurnEnd {
  #isScheduled = false;

  constructor(private readonly action: () => void) {}

  schedule(): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#fire);
    }
  }

  readonly #fire = (): void => {
    this.#isScheduled = false;
    this.action();
  };
}
