import type { IdSource } from '@dynflow/kernel';

/** Ids that a test can foretell: the first ends in …001, the second in …002. */
export class SequentialIds implements IdSource {
  #last = 0;

  uuid(): string {
    this.#last += 1;
    return SequentialIds.nth(this.#last);
  }

  /** The id that is handed out as number `n`, from 1. */
  static nth(n: number): string {
    return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  }
}
