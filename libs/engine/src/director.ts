import { assertNever, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { LocalEvent, LocalOutcome, StepErrorV1 } from '@dynflow/contracts';
import { cancelPlanStep, failUnbegun, giveUpSteps, hasCancellableRun } from './endings.js';
import type { Gate } from './gate.js';
import { actionOf, hasFinalizeSteps, stepOf, type Action, type AskedSubPlans, type Claim, type Plan, type Step } from './model.js';
import { movePlan, moveStep, remember } from './moves.js';
import type { ActionCatalogue } from './ports.js';
import { sayProgress } from './progress.js';
import { rescueStrategyOf } from './rescue.js';
import { isLossRetried, nextRunOf, recordAttempt, type NextRun, type RandomSource } from './retries.js';
import { cursorOf } from './rows.js';
import { cancelMessage } from './step-events.js';
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
export class Director {
  readonly #catalogue: ActionCatalogue;
  readonly #subPlans: SubPlans;
  readonly #world: string;
  readonly #planOf: (id: string | null) => Plan | undefined;
  readonly #gate: Gate;
  readonly #random: RandomSource;
  /** By plan, found when first needed: many steps may be skipped, and each must not cost a look at all actions. */
  readonly #dependents = new WeakMap<Plan, Map<number, Step[]>>();
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
      this.#abandon(plan, step, abandonedOutput, `${error.errorClass}: ${error.message}\n`, turn);
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
    if (step.isCancelRequested && !this.#seesToCancel(plan, step) && !this.#awaitsSubPlans(plan, step)) {
      // Nobody holds it any more, and nobody is to begin it again.
      this.#endUnstarted(plan, step, turn);
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
        this.end(plan, 'finish execution', turn);
        return 0;
      case 'pending':
      case 'scheduled':
        cancelPlanStep(plan, turn);
        this.end(plan, 'Delayed task cancelled', turn);
        return 1;
      case 'planning':
        if (plan.isExternal && !isForced) {
          // Its steps have to tell its starter, once somebody has said what they are.
          return 0;
        }
        cancelPlanStep(plan, turn);
        this.end(plan, 'planning cancelled', turn);
        return 1;
      case 'planned':
        if (!plan.isExternal && (plan.callerPlan !== null || !hasCancellableRun(plan))) {
          this.#subPlans.startAnyway(plan);
          const ended = failUnbegun(plan, because ?? 'Cancelled before it started.', turn);
          this.end(plan, 'finish execution', turn);
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
      this.start(plan, turn);
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
      this.letGo(plan, turn);
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
    this.end(plan, 'halt execution', turn);
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
    if ((mayRepeat || (declaration.resumable && step.kind === 'run')) && !isRunTimeOver(plan, step, turn.nowMs)) {
      const waitingFor = 'another executor to take it over';
      this.stepSuspended(plan, step, { checkpoint: step.checkpoint ?? null, waitingFor, isDue: true }, turn);
      return;
    }
    if (step.overLimit !== null) {
      const silence = `${step.overLimit} Its executor was told to end it and did not say what became of it.`;
      this.stepFailed(plan, step, timeLimitError(silence, 'unknown'), undefined, turn);
      return;
    }
    const message = `The executor ${executor} was lost while it ran this job. The job may still be running on the host, or may have ended there.`;
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

  /** Skips a failed step with everything that needs its output. The plan must not be running. @returns the ids of the skipped steps. */
  skip(plan: Plan, first: Step, turn: Turn): number[] {
    const skipped: number[] = [];
    const queue = first.state.name === 'error' ? [first] : [];
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      if (!this.#skipStep(plan, step, turn)) {
        continue;
      }
      skipped.push(step.id);
      const action = actionOf(plan, step.action);
      if (step.kind === 'run' && action.finalizeStep !== null) {
        queue.push(stepOf(plan, action.finalizeStep));
      }
      queue.push(...this.#dependentsOf(plan, step.id));
    }
    turn.touchPlan(plan);
    return skipped;
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

  /** D4: ends a run step that was not begun before its plan was cancelled. @returns true if it did. */
  endIfCancelled(plan: Plan, step: Step, turn: Turn): boolean {
    const isUnbegun = step.state.name === 'pending' || step.state.name === 'error';
    if (!isUnbegun || !plan.isCancelRequested || step.kind !== 'run' || !actionOf(plan, step.action).declaration.cancellable) {
      return false;
    }
    this.#endUnstarted(plan, step, turn);
    return true;
  }

  /** The run steps whose input takes the output of this one. */
  #dependentsOf(plan: Plan, id: number): readonly Step[] {
    let dependents = this.#dependents.get(plan);
    if (dependents === undefined) {
      dependents = new Map();
      for (const { runStep, references } of plan.actions) {
        for (const source of new Set(references.map(({ step }) => step))) {
          const known = dependents.get(source) ?? [];
          dependents.set(source, known);
          if (runStep !== null) {
            known.push(stepOf(plan, runStep));
          }
        }
      }
      this.#dependents.set(plan, dependents);
    }
    return dependents.get(id) ?? [];
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
        if (this.endIfCancelled(plan, step, turn)) {
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
            this.skip(plan, step, turn);
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

  #skipStep(plan: Plan, step: Step, turn: Turn): boolean {
    switch (step.state.name) {
      case 'error':
        if (step.kind === 'run') {
          moveStep(plan, step, { name: 'skipping' }, turn);
        }
        moveStep(plan, step, { name: 'skipped' }, turn);
        return true;
      case 'pending':
        moveStep(plan, step, { name: 'skipped' }, turn);
        return true;
      case 'scheduling':
      case 'running':
      case 'suspended':
      case 'success':
      case 'skipping':
      case 'skipped':
      case 'cancelled':
        return false;
      default:
        return assertNever(step.state);
    }
  }

  #cancelStep(plan: Plan, step: Step, isForced: boolean, turn: Turn): boolean {
    const { declaration } = actionOf(plan, step.action);
    if (!declaration.cancellable || step.kind !== 'run') {
      return false;
    }
    const seesToIt = step.state.name === 'suspended' && this.#seesToCancel(plan, step) && !(isForced && step.isCancelForced);
    if ((step.isReady || step.waitsFor !== null) && !seesToIt) {
      step.isReady = false;
      this.#endUnstarted(plan, step, turn);
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
      this.wake(plan, step, { kind: 'cancel', force: isForced }, turn);
    } else if (step.state.name === 'running' && step.state.claim !== null) {
      turn.events.push(cancelMessage(plan, step, step.state.claim, declaration.name, isForced));
    } else if (!isRetry && this.#awaitsSubPlans(plan, step)) {
      // They are cancelled too; it ends when the last of them has.
      return true;
    } else if (!isRetry && seesToIt) {
      this.wake(plan, step, undefined, turn);
    } else {
      this.#endUnstarted(plan, step, turn);
    }
    return true;
  }

  /** Its sub-plans are at rest: a cancelled step that waited for them ends. @returns true if it did. */
  endIfWaitIsOver(plan: Plan, step: Step, turn: Turn): boolean {
    if (!step.isCancelRequested || step.state.name !== 'suspended' || this.#seesToCancel(plan, step)) {
      return false;
    }
    this.#endUnstarted(plan, step, turn);
    return true;
  }

  /** A parked step that is to be cancelled is invoked, and decides itself. */
  #seesToCancel(plan: Plan, step: Step): boolean {
    return this.#isLocal(plan, step) || actionOf(plan, step.action).declaration.cancelParked === 'invoke';
  }

  #awaitsSubPlans(plan: Plan, step: Step): boolean {
    return step.askedSubPlans !== null || (this.#subPlans.countsOf(plan.id, step.action)?.pending ?? 0) > 0;
  }

  /** Ends a cancelled step that nobody holds, in its executor's place. */
  #endUnstarted(plan: Plan, step: Step, turn: Turn): void {
    const { declaration } = actionOf(plan, step.action);
    const text = step.state.name === 'suspended' ? 'Cancelled while it waited.\n' : 'Cancelled before it started.\n';
    moveStep(plan, step, { name: 'running', claim: null }, turn);
    if (declaration.abandonedOutput !== undefined) {
      this.#abandon(plan, step, declaration.abandonedOutput, text, turn);
    } else {
      this.stepFailed(plan, step, { errorClass: 'Cancelled', message: text.trim(), code: 'DYN_CANCELLED', kind: 'final' }, undefined, turn);
    }
  }

  #abandon(plan: Plan, step: Step, output: JsonObject, text: string, turn: Turn): void {
    if (actionOf(plan, step.action).declaration.chunksAs !== undefined) {
      turn.chunks.push({ plan: plan.id, action: step.action, seq: step.nextSeq, kind: 'debug', timestampMs: turn.nowMs, text });
      step.nextSeq += 1;
    }
    this.stepDone(plan, step, output, turn);
  }
}

/** A step that is over gets no events, and has no sub-plans made any more. */
function expectNothing(step: Step): void {
  step.events = [];
  step.plannedEvents = [];
  step.askedSubPlans = null;
}
