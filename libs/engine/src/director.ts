import { assertNever, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { LocalEvent, LocalOutcome, StepErrorV1 } from '@dynflow/contracts';
import { Cancellation, abandon, type PlanCourse } from './cancellation.js';
import type { Gate } from './gate.js';
import { actionOf, hasFinalizeSteps, stepOf, type Action, type AskedSubPlans, type Claim, type Plan, type Step } from './model.js';
import { movePlan, moveStep, remember } from './moves.js';
import type { ActionCatalogue } from './ports.js';
import { sayProgress } from './progress.js';
import { rescueStrategyOf } from './rescue.js';
import { isLossRetried, nextRunOf, recordAttempt, type NextRun, type RandomSource } from './retries.js';
import { cursorOf } from './rows.js';
import { skip } from './skipping.js';
import type { SubPlans } from './sub-plans.js';
import { waitsForVersion } from './served-versions.js';
import { isRunTimeOver, timeLimitError } from './time-limit-error.js';
import type { Turn } from './turn.js';

/**
 * Decides what happens to plans. It is Dynflow's director: it is told what happened, changes the plan, and notes in the turn what is
 * to be done; it does nothing itself.
 *
 * Owns: the life of a plan from `planned` to its rest, in the order run flow, finalize flow, end.
 * Does not own: time, storage, the bus; who runs steps; planning.
 *
 * Invariants:
 * D1. A step is ready only while its plan is running, its place in the flow has come and the gate has let it through; only a ready step
 *     can be claimed.
 * D2. A step that is over is reported to the plan's cursor exactly once.
 * D3. A plan comes to rest (stopped, paused) only when none of its steps is running or suspended, unless it is halted.
 * D4. A cancelled plan starts no further run step of a cancellable action; the others (a callback, say) still run, and so do finalize
 *     steps: they say how it went.
 * D5. What follows from a change is done one after the other from a list, so that a long chain of steps that end at once nests no calls.
 */
export class Director implements PlanCourse {
  readonly #catalogue: ActionCatalogue;
  readonly #subPlans: SubPlans;
  readonly #world: string;
  readonly #planOf: (id: string | null) => Plan | undefined;
  readonly #gate: Gate;
  readonly #random: RandomSource;
  /** What a cancel, and a halt, make of plans and steps. */
  readonly cancellation: Cancellation;
  #followUps: (() => void)[] = [];
  #isFollowingUp = false;

  constructor(options: {
    catalogue: ActionCatalogue;
    subPlans: SubPlans;
    world: string;
    planOf: (id: string | null) => Plan | undefined;
    gate: Gate;
    random: RandomSource;
  }) {
    this.#catalogue = options.catalogue;
    this.#subPlans = options.subPlans;
    this.#world = options.world;
    this.#planOf = options.planOf;
    this.#gate = options.gate;
    this.#random = options.random;
    this.cancellation = new Cancellation({
      course: this,
      subPlans: this.#subPlans,
      isLocal: (plan, step) => this.#isLocal(plan, step),
    });
  }

  /** Starts a planned plan, or resumes a paused one. A planned one that is held stays as it is. */
  start(plan: Plan, turn: Turn): void {
    if (this.#gate.keepsFromStarting(plan, turn)) {
      return;
    }
    movePlan(plan, 'running', turn);
    plan.startedAtMs ??= turn.nowMs;
    remember(plan, 'start execution', this.#world, turn);
    this.#followUp(() => this.walk(plan, turn));
  }

  /** Puts the cursor of a running plan where the states of its steps say, and makes ready what may start. */
  walk(plan: Plan, turn: Turn): void {
    const cursor = cursorOf(plan);
    plan.cursor = cursor;
    if (plan.phase === 'finalize' && hasFinalizeSteps(plan)) {
      turn.finalizing.add(plan);
    }
    for (const id of cursor.begin()) {
      this.#stepMayStart(plan, stepOf(plan, id), turn);
    }
    this.#checkPhase(plan, turn);
  }

  /** An executor has it now. */
  stepClaimed(plan: Plan, step: Step, claim: Claim, turn: Turn): void {
    this.#gate.begun(plan, step, turn);
    moveStep(plan, step, { name: 'running', claim }, turn);
  }

  stepDone(plan: Plan, step: Step, output: JsonObject, turn: Turn): void {
    this.mergeOutput(plan, step, output, turn);
    step.checkpoint = undefined;
    expectNothing(step);
    moveStep(plan, step, { name: 'success' }, turn);
    this.#stepOver(plan, step, turn);
  }

  /**
   * The step ended in error. A run that another system started, and whose action says what a run without an end counts as, ends as that
   * instead, with the error as its last line: so the steps after it still tell the starter, which an error would keep from running.
   */
  stepFailed(plan: Plan, step: Step, error: StepErrorV1, output: JsonObject | undefined, turn: Turn): void {
    this.mergeOutput(plan, step, output ?? {}, turn);
    expectNothing(step);
    const nextRun = step.state.name === 'running' ? nextRunOf(plan, step, error, turn.nowMs, this.#random) : null;
    if (nextRun !== null) {
      this.#runAgainLater(plan, step, error, nextRun, turn);
      return;
    }
    const { abandonedOutput } = actionOf(plan, step.action).declaration;
    if (plan.isExternal && step.kind === 'run' && step.state.name === 'running' && abandonedOutput !== undefined) {
      abandon(this, plan, step, abandonedOutput, `${error.errorClass}: ${error.message}\n`, turn);
      return;
    }
    moveStep(plan, step, { name: 'error', error, isRetrying: false }, turn);
    this.#stepOver(plan, step, turn);
  }

  /**
   * The step waits for an event or a timer, without executor or slot. `isDue`: its next invocation may begin at once, and gets the
   * events again that this one was given. A finalize step cannot wait; one that is due begins anew.
   */
  stepSuspended(
    plan: Plan,
    step: Step,
    options: {
      checkpoint: JsonValue;
      waitingFor: string;
      wakeAfterMs?: number | undefined;
      output?: JsonObject | undefined;
      progress?: number | undefined;
      /** Sub-plans to be made of a step that an executor runs. */
      askedSubPlans?: AskedSubPlans | undefined;
      isDue?: boolean;
    },
    turn: Turn,
  ): void {
    const isDue = options.isDue ?? false;
    if (step.kind !== 'run') {
      this.#finalizeInterrupted(plan, step, isDue, options.output, turn);
      return;
    }
    this.mergeOutput(plan, step, options.output ?? {}, turn);
    step.checkpoint = options.checkpoint;
    if (options.progress !== undefined) {
      sayProgress(step, options.progress);
    }
    step.attempt += 1;
    if (!isDue && step.state.name === 'running' && step.state.claim !== null) {
      step.events.splice(0, step.state.claim.tookEvents);
    }
    const wakeAtMs = options.wakeAfterMs === undefined ? null : turn.nowMs + options.wakeAfterMs;
    moveStep(plan, step, { name: 'suspended', waitingFor: options.waitingFor, isDue: false, wakeAtMs }, turn);
    if (step.isCancelRequested && !this.cancellation.seesToCancel(plan, step) && !this.cancellation.awaitsSubPlans(plan, step)) {
      // Nobody holds it any more, and nobody is to begin it again.
      this.cancellation.endUnstarted(plan, step, turn);
      return;
    }
    if (options.askedSubPlans !== undefined) {
      step.askedSubPlans = options.askedSubPlans;
      turn.asked.push({ parent: plan, step });
    }
    if (wakeAtMs !== null) {
      turn.timers.push({ plan: plan.id, step: step.id, attempt: step.attempt, atMs: wakeAtMs });
    }
    if (isDue || step.events.length > 0) {
      this.wake(plan, step, undefined, turn);
    }
  }

  /** Lets a suspended step be invoked again: a local one in this turn, any other by whoever claims it. */
  wake(plan: Plan, step: Step, event: LocalEvent | undefined, turn: Turn): void {
    if (step.state.name !== 'suspended' || plan.state !== 'running') {
      return;
    }
    if (step.state.isRetry === true) {
      // Only its time makes it begin anew; an event waits with it.
      if (event?.kind !== 'timer' && !step.state.isDue) {
        return;
      }
    } else if (this.#isLocal(plan, step)) {
      turn.invocations.push({ plan, step, event });
      return;
    }
    step.state.isDue = true;
    turn.touchStep(plan, step);
    this.#mayBegin(plan, step, turn);
  }

  /** The gate has opened for a step that it kept. */
  begin(plan: Plan, step: Step, turn: Turn): void {
    if (plan.state === 'running') {
      this.#stepMayStart(plan, step, turn);
    }
  }

  /** Ends the hold of a plan: it starts, or goes on where it was kept. */
  letGo(plan: Plan, turn: Turn): void {
    const kept = this.#gate.lift(plan, turn);
    if (plan.state === 'planned' && this.#subPlans.admit(plan)) {
      this.start(plan, turn);
    }
    for (const step of kept) {
      this.begin(plan, step, turn);
    }
  }

  mergeOutput(plan: Plan, step: Step, output: JsonObject, turn: Turn): void {
    const action = actionOf(plan, step.action);
    if (Object.keys(output).length > 0) {
      action.output = { ...action.output, ...output };
      turn.touchAction(plan, action);
    }
  }

  /** Applies what a local action decided. */
  localOutcome(plan: Plan, step: Step, outcome: LocalOutcome, turn: Turn): void {
    switch (outcome.kind) {
      case 'done':
        this.stepDone(plan, step, outcome.output, turn);
        return;
      case 'failed':
        this.stepFailed(plan, step, outcome.error, outcome.output, turn);
        return;
      case 'suspended':
        this.stepSuspended(plan, step, outcome, turn);
        return;
      default:
        assertNever(outcome);
    }
  }

  /** Ends a plan that does not come to its end by itself. Its steps are the caller's to see to. */
  end(plan: Plan, history: string, turn: Turn): void {
    plan.waitsFor = null;
    this.#rest(plan, 'stopped', turn, history);
  }

  /** A running step whose executor is known to be gone: nobody can say what it did. */
  stepLost(plan: Plan, step: Step, turn: Turn): void {
    const { declaration } = actionOf(plan, step.action);
    const executor = step.state.name === 'running' ? (step.state.claim?.executor ?? 'unknown') : 'unknown';
    const mayRepeat = declaration.idempotent && !isLossRetried(plan, step);
    step.losses += 1;
    if (
      step.losses < POISON_LOSSES &&
      (mayRepeat || (declaration.resumable && step.kind === 'run')) &&
      !isRunTimeOver(plan, step, turn.nowMs)
    ) {
      const waitingFor = 'another executor to take it over';
      this.stepSuspended(plan, step, { checkpoint: step.checkpoint ?? null, waitingFor, isDue: true }, turn);
      return;
    }
    if (step.overLimit !== null) {
      const silence = `${step.overLimit} Its executor was told to end it and did not say what became of it.`;
      this.stepFailed(plan, step, timeLimitError(silence, 'unknown'), undefined, turn);
      return;
    }
    const others = step.losses < POISON_LOSSES ? '' : ` So were the ${step.losses - 1} before it: it is not given to another one.`;
    const message = `The executor ${executor} was lost while it ran this job. The job may still be running on the host, or may have ended there.${others}`;
    step.losses = 0;
    this.stepFailed(plan, step, { errorClass: 'ExecutorLost', message, code: 'DYN_EXECUTOR_LOST', kind: 'unknown' }, undefined, turn);
  }

  /** Ends a run step that nobody holds, in its executor's place. */
  endInPlace(plan: Plan, step: Step, error: StepErrorV1, turn: Turn): void {
    moveStep(plan, step, { name: 'running', claim: null }, turn);
    this.stepFailed(plan, step, error, undefined, turn);
  }

  /**
   * The holder of a running step says that it does not have it: its grant was lost on the way and nothing has begun. The step is given
   * to whoever claims it next.
   */
  stepNeverBegan(plan: Plan, step: Step, turn: Turn): void {
    const waitingFor = 'another executor, since the first one never got it';
    this.stepSuspended(plan, step, { checkpoint: step.checkpoint ?? null, waitingFor, isDue: true }, turn);
  }

  /** Makes a paused plan go on: failed steps run again, the finalize phase starts anew. */
  resume(plan: Plan, turn: Turn): void {
    for (const step of plan.steps) {
      if (step.state.name === 'error' && step.kind === 'run') {
        recordAttempt(plan, step, step.state.error, turn);
        step.retries = 0;
        step.runSinceMs = null;
        step.attempt += 1;
        step.isCancelRequested = false;
        step.isCancelForced = false;
        step.state = { ...step.state, isRetrying: true };
        turn.touchStep(plan, step);
      } else if (step.kind === 'finalize' && (step.state.name === 'error' || step.state.name === 'success')) {
        step.attempt += 1;
        moveStep(plan, step, { name: 'pending' }, turn);
      }
    }
    plan.phase = 'run';
    plan.isCancelRequested = false;
    this.start(plan, turn);
  }

  #isLocal(plan: Plan, step: Step): boolean {
    return this.#catalogue.isLocal(actionOf(plan, step.action).declaration.name);
  }

  #stepMayStart(plan: Plan, step: Step, turn: Turn): void {
    const action = actionOf(plan, step.action);
    switch (step.state.name) {
      case 'running':
        if (step.state.claim === null) {
          turn.invocations.push({ plan, step, event: undefined });
        }
        return;
      case 'suspended':
        this.#rearm(plan, step, turn);
        return;
      case 'pending':
      case 'error':
        if (this.cancellation.endIfCancelled(plan, step, turn)) {
          return;
        }
        if (action.declaration.finalize.kind === 'failUnless' && step.kind === 'finalize') {
          this.#finalizeByData(plan, step, action, turn);
        } else {
          this.#mayBegin(plan, step, turn);
        }
        return;
      case 'scheduling':
      case 'success':
      case 'skipping':
      case 'skipped':
      case 'cancelled':
        return;
      default:
        assertNever(step.state);
    }
  }

  /** A suspended step of a plan that was loaded: local ones are invoked without event, others get their timer or token back. */
  #rearm(plan: Plan, step: Step, turn: Turn): void {
    if (step.state.name !== 'suspended') {
      return;
    }
    const isParkedLocal = this.#isLocal(plan, step) && step.state.isRetry !== true;
    if (isParkedLocal && plan.heldBecause !== null) {
      // Nothing of it is under way in this process: going on would be to begin.
      this.#gate.admits(plan, step, turn);
    } else if (step.state.isDue || isParkedLocal) {
      this.wake(plan, step, undefined, turn);
    } else if (step.state.wakeAtMs !== null) {
      turn.timers.push({ plan: plan.id, step: step.id, attempt: step.attempt, atMs: step.state.wakeAtMs });
    }
  }

  /** Its place has come: if the gate lets it through, it is invoked in this turn, or whoever claims it may have it. */
  #mayBegin(plan: Plan, step: Step, turn: Turn): void {
    if (!this.#gate.admits(plan, step, turn)) {
      step.readyAtMs = null;
      return;
    }
    if (this.#isLocal(plan, step)) {
      turn.invocations.push({ plan, step, event: undefined });
      return;
    }
    step.isReady = true;
    step.readyAtMs ??= turn.nowMs;
    step.waitsFor = waitsForVersion(plan, step, this.#catalogue);
    turn.touchStep(plan, step);
    turn.ready.push({ plan, step });
  }

  /** The run has failed, and its retry policy has another one follow. It begins as the first one did, unless it can take up its work. */
  #runAgainLater(plan: Plan, step: Step, error: StepErrorV1, { atMs, waitingFor }: NextRun, turn: Turn): void {
    recordAttempt(plan, step, error, turn);
    step.retries += 1;
    step.attempt += 1;
    step.runSinceMs = null;
    if (!actionOf(plan, step.action).declaration.resumable) {
      step.checkpoint = undefined;
    }
    moveStep(plan, step, { name: 'suspended', waitingFor, isDue: false, wakeAtMs: atMs, isRetry: true }, turn);
    turn.timers.push({ plan: plan.id, step: step.id, attempt: step.attempt, atMs });
  }

  #finalizeByData(plan: Plan, step: Step, action: Action, turn: Turn): void {
    const { finalize } = action.declaration;
    if (finalize.kind !== 'failUnless') {
      return;
    }
    moveStep(plan, step, { name: 'running', claim: null }, turn);
    if ((action.output[finalize.output] ?? null) === finalize.equals) {
      this.stepDone(plan, step, {}, turn);
    } else {
      this.stepFailed(plan, step, { errorClass: 'FinalizeError', message: finalize.message, kind: 'final' }, undefined, turn);
    }
  }

  /** The invocation of a finalize step ended without an end. Handed back or safe to repeat, it begins anew; else it has failed. */
  #finalizeInterrupted(plan: Plan, step: Step, mayRepeat: boolean, output: JsonObject | undefined, turn: Turn): void {
    if (!mayRepeat) {
      const message = 'a finalize step cannot wait: only run steps can be suspended';
      this.stepFailed(plan, step, { errorClass: 'CannotSuspend', message, code: 'DYN_CANNOT_SUSPEND', kind: 'final' }, output, turn);
      return;
    }
    this.mergeOutput(plan, step, output ?? {}, turn);
    const error: StepErrorV1 = { errorClass: 'Interrupted', message: 'it was interrupted and begins anew', kind: 'retryable' };
    moveStep(plan, step, { name: 'error', error, isRetrying: false }, turn);
    step.attempt += 1;
    moveStep(plan, step, { name: 'pending' }, turn);
    this.#stepMayStart(plan, step, turn);
  }

  #stepOver(plan: Plan, step: Step, turn: Turn): void {
    this.#followUp(() => {
      const { cursor } = plan;
      if (cursor === null) {
        return;
      }
      for (const id of cursor.stepIsOver(step.id)) {
        this.#stepMayStart(plan, stepOf(plan, id), turn);
      }
      this.#checkPhase(plan, turn);
    });
  }

  #followUp(work: () => void): void {
    this.#followUps.push(work);
    if (this.#isFollowingUp) {
      return;
    }
    this.#isFollowingUp = true;
    try {
      // The list grows while it is worked off.
      for (const next of this.#followUps) {
        next();
      }
    } finally {
      this.#followUps = [];
      this.#isFollowingUp = false;
    }
  }

  #checkPhase(plan: Plan, turn: Turn): void {
    const { cursor } = plan;
    if (cursor === null || cursor.outcome === 'under way') {
      return;
    }
    plan.cursor = null;
    if (cursor.outcome === 'failed') {
      this.#planFailed(plan, turn);
    } else if (plan.phase === 'run') {
      plan.phase = 'finalize';
      turn.touchPlan(plan);
      this.walk(plan, turn);
    } else {
      this.#rest(plan, 'stopped', turn);
    }
  }

  #planFailed(plan: Plan, turn: Turn): void {
    const isOutcomeUnknown = plan.steps.some((step) => step.state.name === 'error' && step.state.error.kind === 'unknown');
    if (plan.isCancelRequested) {
      this.#rest(plan, 'stopped', turn);
      return;
    }
    if (isOutcomeUnknown && !plan.isExternal) {
      this.#rest(plan, 'paused', turn);
      return;
    }
    const strategy = rescueStrategyOf(plan);
    switch (strategy) {
      case 'Pause':
        // What another system started and may have happened is not left to be resumed into a second run.
        this.#rest(plan, isOutcomeUnknown ? 'stopped' : 'paused', turn);
        return;
      case 'Fail':
        this.#rest(plan, 'stopped', turn);
        return;
      case 'Skip':
        for (const step of plan.steps) {
          if (step.state.name === 'error') {
            skip(plan, step, turn);
          }
        }
        this.walk(plan, turn);
        return;
      default:
        assertNever(strategy);
    }
  }

  #rest(plan: Plan, state: 'stopped' | 'paused', turn: Turn, history = state === 'stopped' ? 'finish execution' : 'pause execution'): void {
    movePlan(plan, state, turn);
    if (state === 'stopped') {
      plan.endedAtMs = turn.nowMs;
      plan.sealedSecrets = null;
    }
    plan.heldBecause = null;
    remember(plan, history, this.#world, turn);
    turn.rested.add(plan);
    this.releaseSiblings(plan, turn);
  }

  /** A sub-plan is at rest: those that waited for it start. One that is being read again starts when it has been read. */
  releaseSiblings(plan: Plan, turn: Turn): void {
    this.startSiblings(this.#subPlans.release(plan, this.#planOf(plan.callerPlan) !== undefined), turn);
  }

  /** Starts sub-plans that have a place now. */
  startSiblings(ids: readonly string[], turn: Turn): void {
    for (const id of ids) {
      const sibling = this.#planOf(id);
      if (sibling?.state === 'planned') {
        this.start(sibling, turn);
      }
    }
  }
}

/** So many executors lost in a row with the same step: it may be what kills them. */
const POISON_LOSSES = 3;

/** A step that is over gets no events, and has no sub-plans made any more. */
function expectNothing(step: Step): void {
  step.events = [];
  step.plannedEvents = [];
  step.askedSubPlans = null;
}
