import { isJsonObject, isoTimeOf, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { ActionDeclaration, LimitDeclaration } from '@dynflow/contracts';
import { FairQueue } from './fair-queue.js';
import type { Plan, Step } from './model.js';
import type { StepRow } from './rows.js';

/** A run that has begun; `step`: the plan's id and the step's. */
export interface Beginning {
  readonly step: string;
  readonly atMs: number;
}

/** A step whose turn has come and that limits keep waiting. */
export interface Waiter {
  readonly plan: Plan;
  readonly step: Step;
  readonly keys: readonly LimitKey[];
  readonly age: number;
}

/** A declared limit for one value, as people read it: `host=web1`. */
export interface LimitKey {
  readonly label: string;
  readonly limit: LimitDeclaration;
}

/** All steps that declared a limit alike wait in one queue. */
interface Rule {
  readonly limit: LimitDeclaration;
  readonly queue: FairQueue<Waiter>;
}

/**
 * What is in use of one limit and value: who holds a unit, and when steps began. Actions that state different numbers for it share what
 * is in use, and each is held to its own number.
 */
export class LimitUsage {
  readonly holders = new Set<string>();
  /** Let through and not begun yet: each will count as begun at a moment that is not known. */
  readonly reserved = new Set<string>();
  /** When which steps began, oldest first, as long as it may matter. */
  begun: readonly Beginning[] = [];
  readonly rules = new Map<string, Rule>();
  /** When the first of those that wait for time may go; null: nobody waits for time. */
  ringsAtMs: number | null = null;
  #keptMs = 0;

  constructor(readonly label: string) {}

  /** Puts a step into the queue of those that declared the limit alike. */
  park(waiter: Waiter, limit: LimitDeclaration): void {
    const { plan, age } = waiter;
    const key = JSON.stringify([limit.concurrency, limit.rate?.count, limit.rate?.perMs]);
    const rule = this.rules.get(key) ?? { limit, queue: new FairQueue<Waiter>() };
    this.rules.set(key, rule);
    rule.queue.push(waiter, { priority: plan.priority, parent: plan.callerPlan ?? plan.id, age });
  }

  /** When one more may pass: 0 is now, Infinity is when somebody else ends or begins. */
  freeAtMs({ concurrency, rate }: LimitDeclaration, nowMs: number): number {
    if (concurrency !== undefined && this.holders.size >= concurrency) {
      return Infinity;
    }
    if (rate === undefined) {
      return 0;
    }
    const room = rate.count - this.reserved.size;
    const oldest = this.begun[this.begun.length - room]?.atMs;
    if (room <= 0) {
      return Infinity;
    }
    return oldest === undefined || oldest + rate.perMs <= nowMs ? 0 : oldest + rate.perMs;
  }

  /** Why the next one waits. */
  reason({ concurrency, rate }: LimitDeclaration, nowMs: number): string {
    if (concurrency !== undefined && this.holders.size >= concurrency) {
      return `limit ${this.label}: ${this.holders.size} of ${concurrency} in use`;
    }
    if (rate === undefined) {
      return `limit ${this.label}`;
    }
    const freeAtMs = this.freeAtMs({ name: '', rate }, nowMs);
    const when = freeAtMs === Infinity ? '' : `; not before ${isoTimeOf(freeAtMs)}`;
    return `limit ${this.label}: ${rate.count} begun in ${rate.perMs / 1_000} s${when}`;
  }

  /** A step has begun, at a moment that may lie before others that are known. What is known already counts once. */
  noteBegun(beginning: Beginning, keptMs: number): void {
    this.#keptMs = Math.max(this.#keptMs, keptMs);
    const { step, atMs } = beginning;
    if (!this.begun.some((known) => known.step === step && known.atMs === atMs)) {
      const at = this.begun.findLastIndex((known) => known.atMs <= atMs);
      this.begun = [...this.begun.slice(0, at + 1), beginning, ...this.begun.slice(at + 1)];
    }
  }

  /** Drops what cannot matter any more. @returns true if nothing is left. */
  tidy(nowMs: number): boolean {
    const kept = this.begun.findIndex(({ atMs }) => atMs + this.#keptMs > nowMs);
    this.begun = kept < 0 ? [] : this.begun.slice(kept);
    for (const [key, { queue }] of this.rules) {
      if (queue.size === 0) {
        this.rules.delete(key);
      }
    }
    return this.holders.size + this.reserved.size + this.begun.length + this.rules.size === 0;
  }
}

/** A run step as the store knows it, from which it can be told when its runs began. */
export interface RecentRun {
  readonly action: string;
  readonly version: number;
  readonly input: JsonObject;
  /** The plan's id and the step's. */
  readonly step: string;
  readonly begunAtMs: readonly number[];
}

/**
 * When the runs of a stored step began. Where that was not written down the moment is taken by which the run had begun for sure: a rate
 * is never exceeded by it, at worst not used up.
 */
export function begunTimes({ startedAtMs, endedAtMs, detail }: Pick<StepRow, 'startedAtMs' | 'endedAtMs' | 'detail'>): number[] {
  if (startedAtMs === null) {
    return [];
  }
  const [first, ...later] = detail.pastAttempts ?? [];
  const last = first === undefined ? undefined : (endedAtMs ?? detail.invokedAtMs);
  return [startedAtMs, ...later.map((attempt) => attempt.endedAtMs), ...(last === undefined ? [] : [last])];
}

/** The limits of an action for this input, each with the value that tells one from another. */
export function limitKeysOf(declaration: ActionDeclaration, input: JsonObject): LimitKey[] {
  return declaration.limits.map((limit) => {
    let value: JsonValue = input;
    for (const key of limit.by ?? []) {
      value = isJsonObject(value) ? (value[key] ?? null) : null;
    }
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return { label: limit.by === undefined ? limit.name : `${limit.name}=${text}`, limit };
  });
}
