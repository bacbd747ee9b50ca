import type { JsonValue } from '@dynflow/kernel';

/** What the world outside the service has seen, line by line. */
export type Entry =
  /** An action did something that cannot be taken back. `begin` and `end` enclose work that takes a moment. */
  | {
      kind: 'effect';
      plan: string;
      step: number;
      attempt: number;
      label: string;
      phase: 'run' | 'begin' | 'end' | 'finalize';
      saw: JsonValue;
    }
  /** The receiver of callbacks was called. It accepts one for each plan. */
  | { kind: 'callback'; plan: string; verdict: 'refused' | 'accepted' | 'known already'; saw: JsonValue }
  /** A client has its answer: what it asked for must hold from now on, and it will not ask again. */
  | { kind: 'acknowledged'; act: string; plan: string | null }
  /** A process has begun to work on what an earlier one left. */
  | { kind: 'restart' };
