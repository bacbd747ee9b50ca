import { assertNever, messageOf } from '@dynflow/kernel';
import type { LocalCommand, LocalInvocation, LocalResult } from '@dynflow/contracts';
import type { EngineParts } from './engine-parts.js';
import { actionOf, type Plan, type Step } from './model.js';
import { moveStep } from './moves.js';
import { planLocalEvent } from './planned-events.js';
import { withIds } from './asked-sub-plans.js';
import type { SubPlanNews } from './sub-plan-news.js';
import type { Turn } from './turn.js';

/** Runs the actions that are local to the gateway, inside the turn. */
export class LocalActions {
  readonly #engine: EngineParts;
  readonly #news: SubPlanNews;

  constructor(engine: EngineParts, news: SubPlanNews) {
    this.#engine = engine;
    this.#news = news;
  }

  /** Local actions run in the turn that made them ready; what they decide may make more ready. */
  invokeAll(turn: Turn): void {
    const told = new Set<Plan>();
    let done = 0;
    do {
      for (; done < turn.invocations.length; done += 1) {
        const invocation = turn.invocations[done];
        if (invocation !== undefined) {
          this.#invoke(invocation.plan, invocation.step, invocation.event, turn);
        }
      }
    } while (this.#news.tellCallers(turn, told) || this.#openGate(turn));
  }

  /** Steps that limits kept waiting may begin, now that others are over. @returns true if there are any. */
  #openGate(turn: Turn): boolean {
    const passed = this.#engine.gate.settle(turn);
    for (const { plan, step } of passed) {
      this.#engine.director.begin(plan, step, turn);
    }
    return passed.length > 0;
  }

  #invoke(plan: Plan, step: Step, event: LocalInvocation['event'], turn: Turn): void {
    if (plan.state !== 'running') {
      return;
    }
    const action = actionOf(plan, step.action);
    const { state } = step;
    // Another event of this turn has ended it already.
    const isOver = state.name === 'success' || state.name === 'skipped' || state.name === 'cancelled';
    if (isOver || (state.name === 'error' && !state.isRetrying) || this.#engine.director.cancellation.endIfCancelled(plan, step, turn)) {
      return;
    }
    if (state.name === 'suspended' && state.isRetry === true && (!state.isDue || event !== undefined)) {
      // It belonged to the last run: the next one begins without it.
      return;
    }
    if (state.name === 'pending' || state.name === 'error' || (state.name === 'suspended' && state.isRetry === true)) {
      if (!this.#engine.gate.admits(plan, step, turn)) {
        return;
      }
      this.#engine.gate.begun(plan, step, turn);
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
        subPlans: this.#engine.subPlans.countsOf(plan.id, action.id),
      });
    } catch (error) {
      this.#engine.options.onFault?.(`the local action ${action.declaration.name} threw`, error);
      const errorClass = error instanceof Error ? error.name : 'Error';
      this.#engine.director.stepFailed(plan, step, { errorClass, message: messageOf(error), kind: 'final' }, undefined, turn);
      return;
    }
    const { attempt } = step;
    this.#engine.director.localOutcome(plan, step, result.outcome, turn);
    for (const [place, command] of result.commands.entries()) {
      this.#obey(plan, step, command, { attempt, place }, turn);
    }
  }

  /** `at`: which invocation asked for it, and as which of its commands. */
  #obey(plan: Plan, step: Step, command: LocalCommand, at: { attempt: number; place: number }, turn: Turn): void {
    const action = actionOf(plan, step.action);
    switch (command.kind) {
      case 'effect':
        turn.effects.push({ plan, step: step.id, attempt: step.attempt, action, name: command.name, payload: command.payload });
        return;
      case 'spawn':
        turn.spawns.push({
          parent: plan,
          action: action.id,
          children: withIds(command.children, plan, step, at.attempt, at.place),
          concurrencyLimit: command.concurrencyLimit ?? null,
        });
        return;
      case 'startSubPlans':
        this.#engine.director.startSiblings(this.#engine.subPlans.startWaiting(plan.id, action.id, command.count), turn);
        return;
      case 'cancelWaitingSubPlans':
        for (const id of this.#engine.subPlans.waitingOf(plan.id, action.id)) {
          const child = this.#engine.plans.get(id);
          if (child !== undefined) {
            this.#engine.director.cancellation.cancel(child, false, turn, command.message);
          }
        }
        return;
      case 'planEvent':
        planLocalEvent(this.#engine, plan, step, { ...command, id: `${at.attempt}.${at.place}` }, turn);
        return;
      default:
        assertNever(command);
    }
  }
}
