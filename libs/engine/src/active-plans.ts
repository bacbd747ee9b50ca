import { actionOf, type Claim, type Plan, type Step } from './model.js';
import type { ReadyToken } from './ports.js';
import { tokenOf } from './turn.js';

/** A running step with whoever holds it. */
export interface ClaimedStep {
  readonly plan: Plan;
  readonly step: Step;
  readonly claim: Claim;
  readonly action: string;
}

/** The plans in memory, by id: all of this engine's that are not at rest. */
export class ActivePlans extends Map<string, Plan> {
  *claimedSteps(): Generator<ClaimedStep> {
    for (const plan of this.values()) {
      if (plan.tally.running === 0 || plan.state !== 'running') {
        continue;
      }
      for (const step of plan.steps) {
        if (step.state.name === 'running' && step.state.claim !== null) {
          yield { plan, step, claim: step.state.claim, action: actionOf(plan, step.action).declaration.name };
        }
      }
    }
  }

  /** Tokens of all steps that are ready. */
  readyTokens(): ReadyToken[] {
    const tokens = [];
    for (const plan of this.values()) {
      if (plan.state === 'running') {
        for (const step of plan.steps) {
          if (step.isReady && step.waitsFor === null) {
            tokens.push(tokenOf(plan, step));
          }
        }
      }
    }
    return tokens;
  }
}
