import { assertNever, type JsonObject } from '@dynflow/kernel';
import type { LocalEvent, StepErrorV1 } from '@dynflow/contracts';
import { cancelPlanStep, failUnbegun, giveUpSteps, hasCancellableRun } from './endings.js';
import { actionOf, type Plan, type Step } from './model.js';
import { moveStep } from './moves.js';
import { cancelMessage } from './step-events.js';
import type { SubPlans } from './sub-plans.js';
import type { Turn } from './turn.js';

/** What is needed of the director: the ways on which steps and plans come to their ends. */
export interface PlanCourse {
  start(plan: Plan, turn: Turn): void;
  letGo(plan: Plan, turn: Turn): void;
  wake(plan: Plan, step: Step, event: LocalEvent | undefined, turn: Turn): void;
  stepDone(plan: Plan, step: Step, output: JsonObject, turn: Turn): void;
  stepFailed(plan: Plan, step: Step, error: StepErrorV1, output: JsonObject | undefined, turn: Turn): void;
  end(plan: Plan, history: string, turn: Turn): void;
}

/**
 * Decides what a cancel or a halt makes of a plan, by its state and what its steps are at.
 *
 * Owns: who is told, who is ended in its executor's place, what is left to end by itself. Does not own: the plan's course afterwards.
 *
 * Invariants:
 * C1. A cancel is stored with its plan: it holds for steps that start later, and after a restart.
 * C2. A step that somebody holds is told and ends by what its holder says; any other is ended here, at once.
 */
export class Cancellation {
  readonly #course: PlanCourse;
  readonly #subPlans: SubPlans;
  readonly #isLocal: (plan: Plan, step: Step) => boolean;

  constructor(options: { course: PlanCourse; subPlans: SubPlans; isLocal: (plan: Plan, step: Step) => boolean }) {
    this.#course = options.course;
    this.#subPlans = options.subPlans;
    this.#isLocal = options.isLocal;
  }

  /**
   * Cancels a plan: it is stored, so that it holds for steps that start later and after a restart.
   *
   * @param because what is said of steps that end without having begun.
   * @returns how many steps were told or ended.
   */
  cancel(plan: Plan, isForced: boolean, turn: Turn, because?: string): number {
    if (plan.state === 'stopped') {
      return 0;
    }
    plan.isCancelRequested = true;
    turn.touchPlan(plan);
    switch (plan.state) {
      case 'paused':
        // As if it had been cancelled before the failure.
        this.#course.end(plan, 'finish execution', turn);
        return 0;
      case 'pending':
      case 'scheduled':
        cancelPlanStep(plan, turn);
        this.#course.end(plan, 'Delayed task cancelled', turn);
        return 1;
      case 'planning':
        if (plan.isExternal && !isForced) {
          // Its steps have to tell its starter, once somebody has said what they are.
          return 0;
        }
        cancelPlanStep(plan, turn);
        this.#course.end(plan, 'planning cancelled', turn);
        return 1;
      case 'planned':
        if (!plan.isExternal && (plan.callerPlan !== null || !hasCancellableRun(plan))) {
          this.#subPlans.startAnyway(plan);
          const ended = failUnbegun(plan, because ?? 'Cancelled before it started.', turn);
          this.#course.end(plan, 'finish execution', turn);
          return ended;
        }
        break;
      case 'running':
        break;
      default:
        assertNever(plan.state);
    }
    const wasHeld = plan.heldBecause !== null;
    if (plan.state === 'planned') {
      plan.heldBecause = null;
      if (!this.#subPlans.startAnyway(plan) && !wasHeld) {
        return 0;
      }
      const before = plan.tally.pending;
      this.#course.start(plan, turn);
      return before - plan.tally.pending;
    }
    let told = 0;
    for (const step of plan.steps) {
      if (this.#cancelStep(plan, step, isForced, turn)) {
        told += 1;
      }
    }
    if (wasHeld && plan.state === 'running') {
      // What a cancel leaves to be done, such as telling the starter, is not held any more.
      this.#course.letGo(plan, turn);
    }
    return told;
  }

  /** Ends a plan by force: its steps stay as they are, those who run them are told to stop, and nothing follows from what they say. */
  halt(plan: Plan, turn: Turn): void {
    plan.isHalted = true;
    plan.cursor = null;
    for (const step of giveUpSteps(plan, turn)) {
      if (step.state.name === 'running' && step.state.claim !== null) {
        turn.events.push(cancelMessage(plan, step, step.state.claim, actionOf(plan, step.action).declaration.name, true));
      }
    }
    this.#course.end(plan, 'halt execution', turn);
  }

  /** D4: ends a run step that was not begun before its plan was cancelled. @returns true if it did. */
  endIfCancelled(plan: Plan, step: Step, turn: Turn): boolean {
    const isUnbegun = step.state.name === 'pending' || step.state.name === 'error';
    if (!isUnbegun || !plan.isCancelRequested || step.kind !== 'run' || !actionOf(plan, step.action).declaration.cancellable) {
      return false;
    }
    this.endUnstarted(plan, step, turn);
    return true;
  }

  #cancelStep(plan: Plan, step: Step, isForced: boolean, turn: Turn): boolean {
    const { declaration } = actionOf(plan, step.action);
    if (!declaration.cancellable || step.kind !== 'run') {
      return false;
    }
    const seesToIt = step.state.name === 'suspended' && this.seesToCancel(plan, step) && !(isForced && step.isCancelForced);
    if ((step.isReady || step.waitsFor !== null) && !seesToIt) {
      step.isReady = false;
      this.endUnstarted(plan, step, turn);
      return true;
    }
    if (step.state.name !== 'running' && step.state.name !== 'suspended') {
      return false;
    }
    step.isCancelRequested = true;
    step.isCancelForced ||= isForced;
    turn.touchStep(plan, step);
    const isRetry = step.state.name === 'suspended' && step.state.isRetry === true;
    if (this.#isLocal(plan, step) && !isRetry) {
      this.#course.wake(plan, step, { kind: 'cancel', force: isForced }, turn);
    } else if (step.state.name === 'running' && step.state.claim !== null) {
      turn.events.push(cancelMessage(plan, step, step.state.claim, declaration.name, isForced));
    } else if (!isRetry && this.awaitsSubPlans(plan, step)) {
      // They are cancelled too; it ends when the last of them has.
      return true;
    } else if (!isRetry && seesToIt) {
      this.#course.wake(plan, step, undefined, turn);
    } else {
      this.endUnstarted(plan, step, turn);
    }
    return true;
  }

  /** Its sub-plans are at rest: a cancelled step that waited for them ends. @returns true if it did. */
  endIfWaitIsOver(plan: Plan, step: Step, turn: Turn): boolean {
    if (!step.isCancelRequested || step.state.name !== 'suspended' || this.seesToCancel(plan, step)) {
      return false;
    }
    this.endUnstarted(plan, step, turn);
    return true;
  }

  /** A parked step that is to be cancelled is invoked, and decides itself. */
  seesToCancel(plan: Plan, step: Step): boolean {
    return this.#isLocal(plan, step) || actionOf(plan, step.action).declaration.cancelParked === 'invoke';
  }

  awaitsSubPlans(plan: Plan, step: Step): boolean {
    return step.askedSubPlans !== null || (this.#subPlans.countsOf(plan.id, step.action)?.pending ?? 0) > 0;
  }

  /** Ends a cancelled step that nobody holds, in its executor's place. */
  endUnstarted(plan: Plan, step: Step, turn: Turn): void {
    const { declaration } = actionOf(plan, step.action);
    const text = step.state.name === 'suspended' ? 'Cancelled while it waited.\n' : 'Cancelled before it started.\n';
    moveStep(plan, step, { name: 'running', claim: null }, turn);
    if (declaration.abandonedOutput !== undefined) {
      abandon(this.#course, plan, step, declaration.abandonedOutput, text, turn);
    } else {
      this.#course.stepFailed(
        plan,
        step,
        { errorClass: 'Cancelled', message: text.trim(), code: 'DYN_CANCELLED', kind: 'final' },
        undefined,
        turn,
      );
    }
  }
}

/** Ends a run in its executor's place with what it counts as then, and says so in its output. */
export function abandon(course: Pick<PlanCourse, 'stepDone'>, plan: Plan, step: Step, output: JsonObject, text: string, turn: Turn): void {
  if (actionOf(plan, step.action).declaration.chunksAs !== undefined) {
    turn.chunks.push({ plan: plan.id, action: step.action, seq: step.nextSeq, kind: 'debug', timestampMs: turn.nowMs, text });
    step.nextSeq += 1;
  }
  course.stepDone(plan, step, output, turn);
}
