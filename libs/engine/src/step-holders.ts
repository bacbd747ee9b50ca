import { pluginOf } from '@dynflow/contracts';
import type { ClaimedStep } from './active-plans.js';
import type { EngineParts } from './engine-parts.js';
import { actionOf } from './model.js';
import type { PlanLoader } from './plan-loader.js';
import { cancelMessage, eventMessage } from './step-events.js';
import type { Turn } from './turn.js';

/** A grant may be on its way, or asked for again, for so long; what an executor does not name after it, it does not have. */
const GRANT_SETTLES_MS = 30_000;

/** Keeps what executors hold and what the plans say of it together. */
export class StepHolders {
  readonly #engine: EngineParts;
  readonly #loader: PlanLoader;
  /** Claims that their holder did not name the last time. */
  readonly #missedClaims = new Set<string>();

  constructor(engine: EngineParts, loader: PlanLoader) {
    this.#engine = engine;
    this.#loader = loader;
  }

  /**
   * Some processes of an executor are known to be gone: whatever they held is lost, at once.
   *
   * @param isGone tells by start id and claim id whether the holder of a step is gone.
   */
  async executorLost(plugin: string, executor: string, isGone: (startId: string, claim: string) => boolean): Promise<number> {
    let answer: number | null = null;
    while (answer === null) {
      // Who is lost is not found out a second time, so plans that are being read again are waited for.
      await this.#loader.whenAllRead();
      answer = await this.#engine.put((turn) => (!this.#loader.isAllRead ? null : this.#takeFrom(plugin, executor, isGone, turn)));
    }
    return answer;
  }

  #takeFrom(plugin: string, executor: string, isGone: (startId: string, claim: string) => boolean, turn: Turn): number {
    let lost = 0;
    for (const plan of [...this.#engine.plans.values()]) {
      for (const step of plan.steps) {
        const { state } = step;
        if (state.name !== 'running' || state.claim === null || state.claim.executor !== executor) {
          continue;
        }
        if (pluginOf(actionOf(plan, step.action).declaration.name) === plugin && isGone(state.claim.startId, state.claim.id)) {
          this.#engine.director.stepLost(plan, step, turn);
          lost += 1;
        }
      }
    }
    return lost;
  }

  /** Who holds running steps now, each process of an executor once. */
  claimHolders(): { plugin: string; executor: string; startId: string }[] {
    const holders = new Map<string, { plugin: string; executor: string; startId: string }>();
    for (const { action, claim } of this.#engine.plans.claimedSteps()) {
      const holder = { plugin: pluginOf(action), executor: claim.executor, startId: claim.startId };
      holders.set(JSON.stringify(holder), holder);
    }
    return [...holders.values()];
  }

  /**
   * A process of an executor said all that it holds. A step that it was granted a while ago and does not name, twice in a row, was never
   * begun, because its grant was lost: it is given to whoever claims it next.
   */
  async reconcile(plugin: string, holder: { executor: string; startId: string }, held: readonly string[]): Promise<void> {
    const named = new Set(held);
    const missing: ClaimedStep[] = [];
    const isOver = new Set(this.#missedClaims);
    for (const claimed of this.#engine.plans.claimedSteps()) {
      const { claim, step, action } = claimed;
      isOver.delete(claim.id);
      const isTheirs = claim.executor === holder.executor && claim.startId === holder.startId && pluginOf(action) === plugin;
      const isSettled = this.#engine.options.clock.now() - (step.invokedAtMs ?? 0) > GRANT_SETTLES_MS;
      if (!isTheirs) {
        continue;
      }
      if (named.has(claim.id) || !isSettled) {
        this.#missedClaims.delete(claim.id);
      } else if (this.#missedClaims.delete(claim.id)) {
        missing.push(claimed);
      } else {
        this.#missedClaims.add(claim.id);
      }
    }
    isOver.forEach((claim) => this.#missedClaims.delete(claim));
    if (missing.length > 0) {
      await this.#engine.put((turn) => {
        for (const { plan, step, claim } of missing) {
          if (step.state.name === 'running' && step.state.claim === claim) {
            this.#engine.director.stepNeverBegan(plan, step, turn);
          }
        }
      });
    }
  }

  /** An executor said what it holds: steps among these that are to be cancelled, or have events that it did not receive, are told again. */
  async remind(held: readonly { plan: string; step: number; claim: string }[]): Promise<void> {
    const isAsked = ({ plan, step }: { plan: string; step: number }): boolean => {
      const known = this.#engine.plans.get(plan)?.steps[step - 1];
      return known !== undefined && (known.isCancelRequested || known.overLimit !== null || known.events.length > 0);
    };
    if (!held.some(isAsked)) {
      return;
    }
    await this.#engine.put((turn) => {
      for (const { plan: planId, step: stepId, claim } of held) {
        const plan = this.#engine.plans.get(planId);
        const step = plan?.steps[stepId - 1];
        if (plan === undefined || step?.state.name !== 'running' || step.state.claim?.id !== claim) {
          continue;
        }
        const { name } = actionOf(plan, step.action).declaration;
        if (step.overLimit !== null) {
          turn.events.push(cancelMessage(plan, step, step.state.claim, name, true, step.overLimit));
        } else if (step.isCancelRequested) {
          turn.events.push(cancelMessage(plan, step, step.state.claim, name, step.isCancelForced));
        }
        for (const event of step.events.slice(step.state.claim.tookEvents)) {
          turn.events.push(eventMessage(plan, step, step.state.claim, name, event));
        }
      }
    });
  }
}
