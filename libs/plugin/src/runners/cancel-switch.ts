import { CancelRequested } from '../action.js';

/**
 * The cancel of one run: a signal that is aborted once, with a {@link CancelRequested}. A cancel by force that follows an ordinary one
 * sets the same reason's `isForced` and dispatches `abort` again, for listeners that stayed.
 */
export class CancelSwitch {
  #controller: AbortController | undefined;
  #reason: CancelRequested | undefined;

  /** Made when first asked for: most runs never look at it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) {
        this.#controller.abort(this.#reason);
      }
    }
    return this.#controller.signal;
  }

  /** May be called again; only force after no force changes anything. */
  cancel(isForced: boolean, reason?: string): void {
    if (this.#reason === undefined) {
      this.#reason = new CancelRequested(isForced, reason);
      this.#controller?.abort(this.#reason);
    } else if (isForced && !this.#reason.isForced) {
      Object.assign(this.#reason, { isForced: true, message: reason ?? 'cancelled by force', ...(reason === undefined ? {} : { reason }) });
      this.#controller?.signal.dispatchEvent(new Event('abort'));
    }
  }
}
