import { messageOf } from '@dynflow/kernel';
import type { LocalInvocation, LocalResult } from '@dynflow/contracts';
import type { EngineParts } from './engine-parts.js';
import { actionOf, stepOf, type Plan, type Step } from './model.js';
import { moveStep } from './moves.js';
import type { Turn } from './turn.js';

/** Runs the actions that are local to the gateway, inside the turn. */
export class LocalActions {
  readonly #engine: EngineParts;

  constructor(engine: EngineParts) {
    this.#engine = engine;
  }

  /** Local actions run in the turn that made them ready; what they decide may make more ready. */
  invokeAll(turn: Turn): void {
    const told = new Set<Plan>();
    for (let index = 0; index < turn.invocations.length || this.#tellCallers(turn, told); index += 1) {
      const invocation = turn.invocations[index];
      if (invocation !== undefined) {
        this.#invoke(invocation.plan, invocation.step, invocation.event, turn);
      }
    }
  }

  /** Sub-plans that came to rest are an event for the action that made them, one for all. @returns true if that added invocations. */
  #tellCallers(turn: Turn, told: Set<Plan>): boolean {
    const callers = new Map<Step, Plan>();
    for (const child of turn.rested) {
      const caller = told.has(child) ? undefined : this.noteCounts(child, turn);
      told.add(child);
      if (caller?.step.state.name === 'suspended') {
        callers.set(caller.step, caller.plan);
      }
    }
    for (const [step, plan] of callers) {
      const counts = this.#engine.subPlans.countsOf(plan.id, step.action);
      if (counts !== undefined) {
        turn.invocations.push({ plan, step, event: { kind: 'subPlans', counts } });
      }
    }
    return callers.size > 0;
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
      step.settledSubPlans = { success: counts.success, failed: counts.failed };
      turn.touchStep(plan, step);
    }
    return { plan, step };
  }

  #invoke(plan: Plan, step: Step, event: LocalInvocation['event'], turn: Turn): void {
    if (plan.state !== 'running') {
      return;
    }
    const action = actionOf(plan, step.action);
    const { state } = step;
    // Another event of this turn has ended it already.
    const isOver = state.name === 'success' || state.name === 'skipped' || state.name === 'cancelled';
    if (isOver || (state.name === 'error' && !state.isRetrying) || this.#engine.director.endIfCancelled(plan, step, turn)) {
      return;
    }
    if (state.name !== 'running') {
      moveStep(plan, step, { name: 'running', claim: null }, turn);
    }
    let result: LocalResult;
    try {
      result = this.#engine.options.local.run(action.declaration.name, {
        plan: plan.id,
        step: step.id,
        attempt: step.attempt,
        nowMs: turn.nowMs,
        input: this.#engine.resolver.resolveInTurn(plan, action),
        output: action.output,
        checkpoint: step.checkpoint,
        sealedSecrets: plan.sealedSecrets ?? undefined,
        event,
      });
    } catch (error) {
      this.#engine.options.onFault?.(`the local action ${action.declaration.name} threw`, error);
      const errorClass = error instanceof Error ? error.name : 'Error';
      this.#engine.director.stepFailed(plan, step, { errorClass, message: messageOf(error), kind: 'final' }, undefined, turn);
      return;
    }
    this.#engine.director.localOutcome(plan, step, result.outcome, turn);
    for (const command of result.commands) {
      if (command.kind === 'effect') {
        turn.effects.push({ plan, step: step.id, attempt: step.attempt, action, name: command.name, payload: command.payload });
      } else {
        turn.spawns.push({
          parent: plan,
          action: action.id,
          children: command.children,
          concurrencyLimit: command.concurrencyLimit ?? null,
        });
      }
    }
  }
}
