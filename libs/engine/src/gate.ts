import { FairQueue } from './fair-queue.js';
import type { Limits } from './limits.js';
import type { Plan, Step } from './model.js';
import type { Turn } from './turn.js';

/**
 * Stands before every run or finalize step whose place in the flow has come, and says whether it may begin.
 *
 * Owns: holds by an operator, of single plans and of all new work, and who waits because of them; asks the limits for the rest.
 * Does not own: what is done when the gate opens (the director's), where a hold of new work is stored.
 *
 * Invariants:
 * G1. A held plan begins no step and does not start. What has begun goes on: it is reported, woken and ended as ever.
 * G2. Who is asked again gets the same answer, until the gate has opened: each waiting step is let through once.
 */
export class Gate {
  readonly #limits: Limits;
  /** Steps that would have begun. */
  readonly #kept = new WeakMap<Plan, Set<Step>>();
  /** Plans that were released by themselves: a hold of new work is not for them. */
  readonly #released = new WeakSet<Plan>();
  /** Why no plan starts; null: they do. */
  newWorkHeldBecause: string | null = null;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** True if the step may begin now; otherwise it waits, and says for what. */
  admits(plan: Plan, step: Step, turn: Turn): boolean {
    if (plan.heldBecause !== null) {
      this.#limits.leave(step);
      const kept = this.#kept.get(plan) ?? new Set<Step>();
      this.#kept.set(plan, kept.add(step));
      step.waitsFor = `operator: ${plan.heldBecause}`;
      turn.touchStep(plan, step);
      return false;
    }
    return this.#limits.want(plan, step, turn);
  }

  /** True if the plan must not start now; it is noted in the plan why. */
  keepsFromStarting(plan: Plan, turn: Turn): boolean {
    if (plan.state !== 'planned' || plan.isCancelRequested || this.#released.has(plan)) {
      return false;
    }
    if (plan.heldBecause === null && this.newWorkHeldBecause !== null) {
      plan.heldBecause = this.newWorkHeldBecause;
      turn.touchPlan(plan);
    }
    return plan.heldBecause !== null;
  }

  /** The step begins a run now. */
  begun(plan: Plan, step: Step, turn: Turn): void {
    this.#limits.begun(plan, step, turn.nowMs);
  }

  /** Holds a plan: steps that nobody has claimed yet are kept from now on. */
  hold(plan: Plan, reason: string, turn: Turn): void {
    this.#released.delete(plan);
    plan.heldBecause = reason;
    turn.touchPlan(plan);
    for (const step of plan.steps) {
      if (step.isReady || step.waitsFor !== null) {
        step.isReady = false;
        step.readyAtMs = null;
        this.admits(plan, step, turn);
      }
    }
  }

  /** Ends the hold of a plan. @returns the steps that it kept. */
  lift(plan: Plan, turn: Turn): Step[] {
    plan.heldBecause = null;
    this.#released.add(plan);
    turn.touchPlan(plan);
    const kept = [...(this.#kept.get(plan) ?? [])].filter((step) => step.waitsFor !== null);
    this.#kept.delete(plan);
    for (const step of kept) {
      step.waitsFor = null;
      turn.touchStep(plan, step);
    }
    return kept;
  }

  /** Takes account of a plan that was read from the store, before anything of it goes on. */
  restore(plan: Plan, turn: Turn): void {
    this.#limits.restore(plan);
    for (const step of plan.steps) {
      if (step.state.name === 'running' || step.state.name === 'suspended') {
        turn.watchStep(plan, step);
      }
    }
  }

  /** A plan that was in memory is at rest in the store, or will be restored. */
  forget(plan: string): void {
    this.#limits.forget(plan);
  }

  /** The turn's changes are committed. */
  keep(): void {
    this.#limits.keep();
  }

  /** The turn could not be committed. */
  takeBack(): void {
    this.#limits.takeBack();
  }

  /** Steps for which limits have room now. */
  settle(turn: Turn): { plan: Plan; step: Step }[] {
    return this.#limits.settle(turn);
  }
}

/** Plans in the order in which a release starts them: by priority, then parents by turns, then age. */
export function inReleaseOrder(plans: Iterable<Plan>): Plan[] {
  const queue = new FairQueue<Plan>();
  for (const plan of plans) {
    queue.push(plan, { priority: plan.priority, parent: plan.callerPlan ?? plan.id, age: plan.createdAtMs });
  }
  const ordered: Plan[] = [];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    ordered.push(next);
  }
  return ordered;
}
