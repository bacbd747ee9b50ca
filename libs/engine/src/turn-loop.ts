import type { Clock } from '@dynflow/kernel';
import type { PlanStore, TurnScheduler } from './ports.js';
import { Turn } from './turn.js';

/** What happens around the commit of a turn. */
export interface TurnHooks {
  readonly clock: Clock;
  readonly store: PlanStore;
  readonly schedule: TurnScheduler;
  /** Decides what follows from the inputs, in the same turn. */
  beforeCommit(turn: Turn): void;
  /** Sends out what the turn noted; its callers have their answers. */
  onCommitted(turn: Turn): void;
  /** Nothing of the turn was written, as far as is known; its callers have the error. */
  onFailed(turn: Turn, error: unknown): void;
}

interface Input {
  readonly decide: (turn: Turn) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: what is put while a turn is due, or while one is being committed, is decided together in the next, in the order in which
 * it was put, and answered when that is committed.
 */
export class TurnLoop {
  readonly #hooks: TurnHooks;
  #inputs: Input[] = [];
  #isTurnDue = false;
  #isCommitting = false;

  constructor(hooks: TurnHooks) {
    this.#hooks = hooks;
  }

  /** Has something decided in the next turn. @throws what `decide` throws, or the store's error. */
  put<T>(decide: (turn: Turn) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#inputs.push({ decide, resolve: resolve as (value: unknown) => void, reject });
      this.#requestTurn();
    });
  }

  #requestTurn(): void {
    if (!this.#isTurnDue && !this.#isCommitting && this.#inputs.length > 0) {
      this.#isTurnDue = true;
      this.#hooks.schedule(() => this.#runTurn());
    }
  }

  #runTurn(): void {
    this.#isTurnDue = false;
    const inputs = this.#inputs;
    this.#inputs = [];
    const turn = new Turn(this.#hooks.clock.now());
    const answers: (() => void)[] = [];
    for (const input of inputs) {
      try {
        const value = input.decide(turn);
        answers.push(() => input.resolve(value));
      } catch (error) {
        // The input is refused; what it changed before it threw is a defect and would be committed with the rest, so decisions check first.
        answers.push(() => input.reject(error));
      }
    }
    const succeed = (): void => {
      for (const answer of answers) {
        answer();
      }
      this.#hooks.onCommitted(turn);
    };
    const fail = (error: unknown): void => {
      for (const input of inputs) {
        input.reject(error);
      }
      this.#hooks.onFailed(turn, error);
    };
    let committed: void | Promise<void>;
    try {
      this.#hooks.beforeCommit(turn);
      committed = turn.hasChanges ? this.#hooks.store.commit(turn.changes()) : undefined;
    } catch (error) {
      fail(error);
      return;
    }
    if (committed === undefined) {
      succeed();
      return;
    }
    this.#isCommitting = true;
    void committed.then(succeed, fail).finally(() => {
      this.#isCommitting = false;
      this.#requestTurn();
    });
  }
}
