import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { StepErrorV1, SubPlanCounts } from '@dynflow/contracts';
import type { SuspendOptions } from './suspend-options.js';

/** Documents of the plugin's, kept in the gateway's database; an executor has none of its own. */
export interface DocumentStore {
  /** The document with its revision, or null. */
  get(collection: string, key: string): Promise<{ document: JsonObject; revision: number } | null>;
  /** @returns false when `ifRevision` is given (0: must not exist yet) and the document has another revision now. */
  put(collection: string, key: string, document: JsonObject, options?: { index?: string; ifRevision?: number }): Promise<boolean>;
  delete(collection: string, key: string): Promise<void>;
  /** All documents of the collection with this index word, in the order of their keys. */
  find(collection: string, index: string): Promise<{ key: string; document: JsonObject; revision: number }[]>;
}

/** Where a plugin says what it does; secrets never go there. */
export interface PluginLog {
  debug(message: string, facts?: JsonObject): void;
  info(message: string, facts?: JsonObject): void;
  warn(message: string, facts?: JsonObject): void;
  error(message: string, facts?: JsonObject): void;
}

/** The reason of a {@link RunContext.signal} that was aborted by a cancel. */
export class CancelRequested extends Error {
  /** @param reason why, unless somebody asked for it: a limit of time, say. */
  constructor(
    readonly isForced: boolean,
    readonly reason?: string,
  ) {
    super(reason ?? (isForced ? 'cancelled by force' : 'cancelled'));
    this.name = 'CancelRequested';
  }
}

/**
 * Thrown by `run` or `finalize` to end the step in error with a clear message.
 *
 * `kind` says what is known: `retryable` – nothing has happened; `final` – no use to try again; `unknown` – it may have had an effect.
 */
export class StepFailure extends Error {
  constructor(
    message: string,
    readonly kind: StepErrorV1['kind'] = 'final',
    readonly output?: JsonObject,
  ) {
    super(message);
    this.name = 'StepFailure';
  }
}

/** Returned by `run` instead of an output: the step waits, without executor or slot, and is invoked again with the checkpoint. */
export class Suspension {
  constructor(readonly options: SuspendOptions) {}
}

/** Parks the step: `return suspend({ checkpoint, waitingFor: 'host to pick the job up', wakeAfterMs: 60_000 })`. */
export function suspend(options: SuspendOptions): Suspension {
  return new Suspension(options);
}

/** Returned by `run` when its executor drains: another one goes on with the checkpoint, at once. Only of `resumable` actions. */
export class Release {
  constructor(readonly checkpoint: JsonValue) {}
}

/** Hands the step on: `if (context.draining.aborted) return release({ jobId, offset })`. See {@link RunContext.draining}. */
export function release(checkpoint: JsonValue): Release {
  return new Release(checkpoint);
}

/** What `run` and `finalize` get. */
export interface RunContext<Input = JsonObject, Services = unknown> {
  readonly plan: string;
  readonly step: number;
  /** 1 at the first run of the step. */
  readonly attempt: number;
  /** Parsed by the action's schema, references resolved, secrets in their places. */
  readonly input: Input;
  /** The action's output so far. */
  readonly output: JsonObject;
  /** What an earlier invocation left, if any. */
  readonly checkpoint: JsonValue | undefined;
  /** How the sub-plans that this step asked for stand; undefined when it has asked for none. */
  readonly subPlans: SubPlanCounts | undefined;
  /** Aborted with {@link CancelRequested} when the step is to be cancelled; `run` then ends as it sees fit. */
  readonly signal: AbortSignal;
  /**
   * Aborted when this executor is to stop. A run of a `resumable` action then returns {@link release}, and is gone on with elsewhere;
   * any other simply goes on: it is waited for.
   */
  readonly draining: AbortSignal;
  /** What the plugin's `start` returned. */
  readonly services: Services;
  readonly store: DocumentStore;
  readonly log: PluginLog;

  /**
   * Adds to the step's output, in order, at-least-once on the way and exactly once in the record. Await it: it resolves when there is
   * room for more, which is what slows a fast producer down.
   *
   * @param kind `stdout`, `stderr` or `debug`; others pass through.
   */
  write(kind: string, text: string, options?: { id?: string | number; timestampMs?: number }): Promise<void>;

  /** Keeps output values and a checkpoint while the run goes on; output keys are merged. Sent in order with the outcome. */
  update(change: { output?: JsonObject; checkpoint?: JsonValue }): void;

  /**
   * Says how much of the step is done, 0 to 1. Cheap: it is sent a few times a second at most, and the last value counts. A run that
   * never says anything counts as half done.
   */
  progress(fraction: number): void;

  /**
   * Gives this step an event after some time: also when the run has been suspended or handed on, or the service was restarted by then.
   * Dropped when the step ends before.
   */
  planEvent(data: JsonValue, afterMs: number): void;

  /** Calls back for each event that was sent to this step from outside, each once. */
  onEvent(callback: (data: JsonValue) => void): void;
}
