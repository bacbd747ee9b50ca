import { derivedUuid } from '@dynflow/kernel';
import type { EngineParts } from './engine-parts.js';
import { actionOf, stepOf, type Plan, type Step } from './model.js';
import { giveEvent } from './planned-events.js';
import type { Turn } from './turn.js';

/**
 * Tells actions how their sub-plans stand.
 *
 * Owns: who hears of what, and that the counts are stored with whoever hears it. Does not own: the counts.
 *
 * N1. The counts of those at rest are stored in the commit in which one of them came to rest.
 * N2. A local action hears of each turn in which one did; an executor's action when all have, and everything that it asked for is made.
 */
export class SubPlanNews {
  readonly #engine: EngineParts;

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  /** Sub-plans that came to rest are an event for the action that made them, one for all. @returns true if somebody was told. */
  tellCallers(turn: Turn, told: Set<Plan>): boolean {
    const callers = new Map<Step, Plan>();
    for (const child of turn.rested) {
      if (told.has(child)) {
        continue;
      }
      told.add(child);
      const caller = this.noteCounts(child, turn);
      if (caller !== undefined) {
        callers.set(caller.step, caller.plan);
      }
    }
    let isTold = false;
    for (const [step, plan] of callers) {
      isTold = this.#tell(plan, step, turn) || isTold;
    }
    return isTold;
  }

  /** Stores with the caller's step how many of its sub-plans are at rest. @returns that step, if the caller is active here. */
  noteCounts(child: Plan, turn: Turn): { plan: Plan; step: Step } | undefined {
    const plan = child.callerPlan === null ? undefined : this.#engine.plans.get(child.callerPlan);
    const runStep = plan === undefined || child.callerAction === null ? null : actionOf(plan, child.callerAction).runStep;
    if (plan === undefined || runStep === null) {
      return undefined;
    }
    const step = stepOf(plan, runStep);
    const counts = this.#engine.subPlans.countsOf(plan.id, step.action);
    if (counts !== undefined) {
      const { success, failed, unplanned, cancelled } = counts;
      step.settledSubPlans = { success, failed, unplanned, cancelled };
      turn.touchStep(plan, step);
    }
    return { plan, step };
  }

  #tell(plan: Plan, step: Step, turn: Turn): boolean {
    const counts = this.#engine.subPlans.countsOf(plan.id, step.action);
    if (counts === undefined) {
      return false;
    }
    const { name } = actionOf(plan, step.action).declaration;
    if (this.#engine.options.catalogue.isLocal(name)) {
      if (step.state.name !== 'suspended') {
        return false;
      }
      turn.invocations.push({ plan, step, event: { kind: 'subPlans', counts } });
      return true;
    }
    if (counts.pending > 0 || step.askedSubPlans !== null) {
      return false;
    }
    if (this.#engine.director.cancellation.endIfWaitIsOver(plan, step, turn)) {
      return true;
    }
    // The id follows from what is told: after a turn that could not be committed the same event is told, not another one.
    const id = derivedUuid(plan.id, step.id, 'subPlans', step.attempt, counts.total, counts.success);
    return giveEvent(this.#engine, plan, step, { id, data: { kind: 'subPlans', counts: { ...counts } } }, turn);
  }
}
