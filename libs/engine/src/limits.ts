import type { Clock } from '@dynflow/kernel';
import { LimitUsage, limitKeysOf, type LimitKey, type RecentRun, type Waiter } from './limit-usage.js';
import { actionOf, type Action, type Plan, type Step } from './model.js';
import type { ReferenceResolver } from './references.js';
import type { Turn } from './turn.js';

/** From so many limits on it is looked now and then for those that nobody needs any more. */
const SWEEP_FROM = 1_000;

/**
 * Limits by key: how many steps of one kind run at once, and how many begin within a time.
 *
 * Owns: who holds a unit of which limit, and who waits. Does not own: making steps ready; holds.
 *
 * Invariants:
 * L1. A step is let through by all of its limits at once or by none, so none holds one unit while it waits for another.
 * L2. A unit is held from the moment when the step may be claimed until it is over. A parked step keeps it; one that waits for its next
 *     retry does not. A beginning counts from the claim; until then it is reserved, so that no window ever has more than its number.
 * L3. In what order: priority, then parents by turns, then age. A step that waits for one limit keeps nobody from passing by another.
 * L4. What a turn changed can be taken back as long as that turn is not committed.
 * L5. After a restart units follow from the steps' states, and beginnings from the times that are stored with the steps.
 *
 * The counts are in memory: right for one gateway per database, as today. Several gateways that share one would have to keep each count
 * in a row of its own and change it in the transaction of the claim.
 */
export class Limits {
  readonly #clock: Clock;
  readonly #resolver: ReferenceResolver;
  readonly #planOf: (id: string) => Plan | undefined;
  readonly #usages = new Map<string, LimitUsage>();
  /** By plan and step: what is held. */
  readonly #held = new Map<string, Map<number, readonly LimitKey[]>>();
  readonly #waiting = new WeakMap<Step, Waiter>();
  readonly #dirty = new Set<LimitUsage>();
  #arrived: Waiter[] = [];
  #age = 0;
  #sweepAt = SWEEP_FROM;
  #undo: (() => void)[] = [];
  /** Called when time has made room; a turn is to settle then. */
  onRoom: () => void = () => undefined;

  constructor(options: { clock: Clock; resolver: ReferenceResolver; planOf: (id: string) => Plan | undefined }) {
    this.#clock = options.clock;
    this.#resolver = options.resolver;
    this.#planOf = options.planOf;
  }

  /** Asks for all units that the step needs. @returns true if it has them; else {@link settle} says when. */
  want(plan: Plan, step: Step, turn: Turn): boolean {
    const action = actionOf(plan, step.action);
    if (step.kind !== 'run' || action.declaration.limits.length === 0 || this.#held.get(plan.id)?.has(step.id) === true) {
      return true;
    }
    if (!this.#waiting.has(step)) {
      this.#age += 1;
      const waiter = { plan, step, keys: this.#keysOf(plan, action), age: this.#age };
      this.#waiting.set(step, waiter);
      this.#arrived.push(waiter);
      step.waitsFor = 'its limits';
      turn.touchStep(plan, step);
    }
    return false;
  }

  /** The step does not wait for its limits any more. */
  leave(step: Step): void {
    this.#waiting.delete(step);
  }

  /** The step begins a run now. */
  begun(plan: Plan, step: Step, nowMs: number): void {
    for (const { label, limit } of this.#held.get(plan.id)?.get(step.id) ?? []) {
      const key = keyOf(plan, step);
      const usage = this.#usageOf(label);
      if (limit.rate !== undefined && usage.reserved.delete(key)) {
        const before = usage.begun;
        usage.noteBegun({ step: key, atMs: nowMs }, limit.rate.perMs);
        this.#undo.push(() => {
          usage.reserved.add(key);
          usage.begun = before;
        });
      }
    }
  }

  /** Takes units back from what is over and gives them on. @returns the steps that may begin. */
  settle(turn: Turn): Waiter[] {
    for (const [step, plan] of turn.limited) {
      if (this.#planOf(plan.id) === plan && !holdsUnits(step)) {
        this.#release(plan, step);
      }
    }
    turn.limited.clear();
    for (const plan of turn.rested) {
      this.#releaseAll(plan);
    }
    const parked = this.#arrived;
    this.#arrived = [];
    for (const waiter of parked) {
      this.#park(waiter, waiter.keys[0]);
    }
    const passed: Waiter[] = [];
    // What is parked on the way may make one due again.
    for (const usage of this.#dirty) {
      this.#dirty.delete(usage);
      this.#serve(usage, turn.nowMs, passed, parked);
      if (usage.tidy(turn.nowMs)) {
        this.#usages.delete(usage.label);
      }
    }
    for (const waiter of parked) {
      this.#say(waiter, turn);
    }
    return passed;
  }

  /** Takes account of a plan that was read from the store: what is read there needs no taking back. */
  restore(plan: Plan): void {
    this.forget(plan.id);
    for (const step of plan.steps) {
      const action = actionOf(plan, step.action);
      if (step.kind === 'run' && action.declaration.limits.length > 0 && holdsUnits(step)) {
        const keys = this.#keysOf(plan, action);
        this.#take({ plan, step, keys, age: 0 }, false);
        this.#noteRunning(keyOf(plan, step), step.invokedAtMs, keys);
      }
    }
  }

  /** A plan that was in memory is at rest in the store, or was never written. */
  forget(plan: string): void {
    for (const step of [...(this.#held.get(plan)?.keys() ?? [])]) {
      this.#drop(plan, step);
    }
  }

  /** What an earlier process saw begin. */
  remember(run: RecentRun, declaration: Action['declaration']): void {
    for (const { label, limit } of limitKeysOf(declaration, run.input)) {
      if (limit.rate !== undefined) {
        const usage = this.#usageOf(label);
        const { perMs } = limit.rate;
        run.begunAtMs.forEach((atMs) => usage.noteBegun({ step: run.step, atMs }, perMs));
      }
    }
  }

  /** The turn's changes are committed. */
  keep(): void {
    this.#undo = [];
  }

  /** The turn could not be committed. Its waiters belong to plans that are read again. */
  takeBack(): void {
    for (const undo of this.#undo.toReversed()) {
      undo();
    }
    this.#undo = [];
  }

  #keysOf(plan: Plan, action: Action): LimitKey[] {
    return limitKeysOf(action.declaration, this.#resolver.resolveInTurn(plan, action));
  }

  /** It may have begun in a commit whose answer was lost. */
  #noteRunning(step: string, atMs: number | null, keys: readonly LimitKey[]): void {
    for (const { label, limit } of atMs === null ? [] : keys) {
      if (atMs !== null && limit.rate !== undefined) {
        this.#usageOf(label).noteBegun({ step, atMs }, limit.rate.perMs);
      }
    }
  }

  /** The first of these that does not let one more pass. */
  #blockingOf(keys: readonly LimitKey[], nowMs: number): LimitKey | undefined {
    return keys.find(({ label, limit }) => (this.#usages.get(label)?.freeAtMs(limit, nowMs) ?? 0) > 0);
  }

  #usageOf(label: string): LimitUsage {
    const known = this.#usages.get(label) ?? new LimitUsage(label);
    this.#usages.set(label, known);
    if (this.#usages.size > this.#sweepAt) {
      for (const [key, usage] of this.#usages) {
        if (usage !== known && usage.tidy(this.#clock.now())) {
          this.#usages.delete(key);
        }
      }
      this.#sweepAt = Math.max(SWEEP_FROM, this.#usages.size * 2);
    }
    return known;
  }

  #park(waiter: Waiter, key: LimitKey | undefined): void {
    if (key !== undefined) {
      const usage = this.#usageOf(key.label);
      usage.park(waiter, key.limit);
      this.#dirty.add(usage);
    }
  }

  /** Lets through whom this limit does not keep any more; who is kept by another one goes on to wait there. */
  #serve(usage: LimitUsage, nowMs: number, passed: Waiter[], parked: Waiter[]): void {
    let ringsAtMs = Infinity;
    for (const { queue, limit } of usage.rules.values()) {
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        if (!this.#isWaiting(next)) {
          queue.pop();
          continue;
        }
        const freeAtMs = usage.freeAtMs(limit, nowMs);
        if (freeAtMs > 0) {
          ringsAtMs = Math.min(ringsAtMs, freeAtMs);
          break;
        }
        queue.pop();
        const blocking = this.#blockingOf(next.keys, nowMs);
        if (blocking === undefined) {
          this.#take(next, true);
          const { plan, step } = next;
          this.#undo.push(() => this.#drop(plan.id, step.id));
          passed.push(next);
        } else {
          this.#park(next, blocking);
          parked.push(next);
        }
      }
    }
    this.#ringAt(usage, ringsAtMs);
  }

  #ringAt(usage: LimitUsage, atMs: number): void {
    if (atMs === Infinity || (usage.ringsAtMs !== null && usage.ringsAtMs <= atMs)) {
      return;
    }
    usage.ringsAtMs = atMs;
    this.#clock.at(atMs, () => {
      if (usage.ringsAtMs === atMs) {
        usage.ringsAtMs = null;
      }
      this.#dirty.add(usage);
      this.onRoom();
    });
  }

  #take(waiter: Waiter, isReserved: boolean): void {
    const { plan, step, keys } = waiter;
    const key = keyOf(plan, step);
    this.leave(step);
    step.waitsFor = null;
    const held = this.#held.get(plan.id) ?? new Map<number, readonly LimitKey[]>();
    this.#held.set(plan.id, held.set(step.id, keys));
    for (const { label, limit } of keys) {
      const usage = this.#usageOf(label);
      if (limit.concurrency !== undefined) {
        usage.holders.add(key);
      }
      if (limit.rate !== undefined && isReserved) {
        usage.reserved.add(key);
      }
    }
  }

  #drop(plan: string, step: number): readonly LimitKey[] {
    const held = this.#held.get(plan);
    const keys = held?.get(step) ?? [];
    for (const { label } of keys) {
      const usage = this.#usageOf(label);
      usage.holders.delete(`${plan}/${step}`);
      usage.reserved.delete(`${plan}/${step}`);
      this.#dirty.add(usage);
    }
    held?.delete(step);
    if (held?.size === 0) {
      this.#held.delete(plan);
    }
    return keys;
  }

  #release(plan: { readonly id: string }, step: { readonly id: number }): void {
    const key = keyOf(plan, step);
    const reserved = (this.#held.get(plan.id)?.get(step.id) ?? []).filter(({ label }) => this.#usageOf(label).reserved.has(key));
    const keys = this.#drop(plan.id, step.id);
    if (keys.length > 0) {
      this.#undo.push(() => {
        this.#held.set(plan.id, (this.#held.get(plan.id) ?? new Map<number, readonly LimitKey[]>()).set(step.id, keys));
        keys.filter(({ limit }) => limit.concurrency !== undefined).forEach(({ label }) => this.#usageOf(label).holders.add(key));
        reserved.forEach(({ label }) => this.#usageOf(label).reserved.add(key));
      });
    }
  }

  #releaseAll(plan: { readonly id: string }): void {
    for (const id of [...(this.#held.get(plan.id)?.keys() ?? [])]) {
      this.#release(plan, { id });
    }
  }

  #isWaiting(waiter: Waiter): boolean {
    const { plan, step } = waiter;
    return this.#waiting.get(step) === waiter && step.waitsFor !== null && this.#planOf(plan.id) === plan && plan.state === 'running';
  }

  /** Writes down why it waits. */
  #say(waiter: Waiter, turn: Turn): void {
    const blocking = this.#isWaiting(waiter) ? this.#blockingOf(waiter.keys, turn.nowMs) : undefined;
    if (blocking !== undefined) {
      waiter.step.waitsFor = this.#usageOf(blocking.label).reason(blocking.limit, turn.nowMs);
      turn.touchStep(waiter.plan, waiter.step);
    }
  }
}

/** L2. */
function holdsUnits(step: Step): boolean {
  return step.isReady || step.state.name === 'running' || (step.state.name === 'suspended' && step.state.isRetry !== true);
}

function keyOf(plan: { readonly id: string }, step: { readonly id: number }): string {
  return `${plan.id}/${step.id}`;
}
