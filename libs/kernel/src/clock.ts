/** Where the time comes from. The engine never asks the machine: tests put a manual clock here. */
export interface Clock {
  /** Milliseconds since the Unix epoch, UTC, with a fraction where the source has one. */
  now(): number;

  /**
   * Calls `callback` once, not before `atMs` (epoch milliseconds). A time in the past means: as soon as possible, never in the
   * caller's own stack.
   *
   * @returns a function that takes the appointment back; calling it twice, or late, does nothing.
   */
  at(atMs: number, callback: () => void): () => void;
}

/** Where new identifiers come from, so that tests can foretell them. */
export interface IdSource {
  /** A fresh identifier in the form of RFC 9562 (36 characters). */
  uuid(): string;
}
