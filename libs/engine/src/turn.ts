import type { JsonValue } from '@dynflow/kernel';
import {
  pluginOf,
  type AppliedV1,
  type LocalEvent,
  type OutputStoredV1,
  type StepEventV1,
  type SubPlanRequest,
  type TimeLimits,
} from '@dynflow/contracts';
import { actionOf, type Action, type Plan, type Step } from './model.js';
import type { Changes, ReadyToken } from './ports.js';
import { actionRow, planRow, stepRow, type ChunkRow } from './rows.js';
import { statesUpTo, type PlanState } from './states.js';

export interface EffectRequest {
  readonly plan: Plan;
  readonly step: number;
  readonly attempt: number;
  readonly action: Action;
  readonly name: string;
  readonly payload: JsonValue;
}

/** Sub-plans that a local action asked for. */
export interface SpawnRequest {
  readonly parent: Plan;
  readonly action: number;
  readonly children: readonly SubPlanRequest[];
  readonly concurrencyLimit: number | null;
}

/**
 * What one turn of the engine collects: which rows changed, and what goes out once they are committed. Nothing in here has an effect
 * by itself, so a turn that cannot be committed is simply thrown away with the plans that it touched.
 */
export class Turn {
  readonly #new = new Set<Plan>();
  readonly #planned = new Set<Plan>();
  readonly #plans = new Set<Plan>();
  readonly #actions = new Map<Action, Plan>();
  readonly #steps = new Map<Step, Plan>();
  readonly chunks: ChunkRow[] = [];

  /** Local invocations to make before the turn ends; they may add more. */
  readonly invocations: { plan: Plan; step: Step; event: LocalEvent | undefined }[] = [];
  readonly ready: { plan: Plan; step: Step }[] = [];
  readonly effects: EffectRequest[] = [];
  readonly spawns: SpawnRequest[] = [];
  /** Steps of executors with sub-plans to be made. */
  readonly asked: { parent: Plan; step: Step }[] = [];
  readonly applied = new Map<string, { plugin: string; executor: string; reports: AppliedV1['reports'] }>();
  readonly stored = new Map<string, { plugin: string; executor: string; output: Map<string, number> }>();
  readonly events: { plugin: string; executor: string; plan: string; step: number; message: StepEventV1 }[] = [];
  /** `event`: of an event that the step planned; absent: of the suspended step itself. */
  /** Steps with limits of time that this turn changed. */
  readonly timed = new Map<Step, Plan>();
  /** Steps with limits by key that this turn changed. */
  readonly limited = new Map<Step, Plan>();
  /** Steps whose holders have said something. */
  readonly heard: { plan: Plan; step: Step }[] = [];
  readonly timers: { plan: string; step: number; attempt: number; atMs: number; event?: string }[] = [];
  /** Plans whose steps have to be asked of an executor. */
  readonly unplanned: Plan[] = [];
  /** Scheduled plans that were considered and wait on; `isKnown`: how all their prerequisites stand. */
  readonly waiting: { plan: Plan; untilMs: number | null; isKnown: boolean }[] = [];
  /** Plans that were read from the store in this turn. */
  readonly adopted = new Set<string>();
  /** Plans that came to rest in this turn: stopped or paused. */
  readonly rested = new Set<Plan>();
  /** The states that plans came into, in order. */
  readonly entered: { plan: Plan; state: PlanState }[] = [];
  /** Plans whose finalize phase began. */
  readonly finalizing = new Set<Plan>();

  constructor(readonly nowMs: number) {}

  addPlan(plan: Plan): void {
    this.#new.add(plan);
    statesUpTo(null, plan.state).forEach((state) => this.entered.push({ plan, state }));
  }

  /** A plan that was only a request has its steps now: its row changes, actions and steps are new. */
  addPlanned(stub: Plan, plan: Plan): void {
    // One that was scheduled in this same turn, and begins at once, has no rows yet.
    (this.#new.delete(stub) ? this.#new : this.#planned).add(plan);
    this.#plans.delete(stub);
    stub.steps.forEach((step) => this.#steps.delete(step));
    statesUpTo(stub.state, plan.state).forEach((state) => this.entered.push({ plan, state }));
  }

  touchPlan(plan: Plan): void {
    if (!this.#hasNewRows(plan)) {
      this.#plans.add(plan);
    }
  }

  touchAction(plan: Plan, action: Action): void {
    if (!this.#hasNewRows(plan)) {
      this.#actions.set(action, plan);
    }
  }

  touchStep(plan: Plan, step: Step): void {
    this.watchStep(plan, step);
    if (!this.#hasNewRows(plan)) {
      this.#steps.set(step, plan);
    }
  }

  /** Has the limits of a step looked at, when the turn is over. */
  watchStep(plan: Plan, step: Step): void {
    const { limits, timeLimits } = actionOf(plan, step.action).declaration;
    if (limits.length > 0) {
      this.limited.set(step, plan);
    }
    if (hasTimeLimits(timeLimits)) {
      this.timed.set(step, plan);
    }
  }

  #hasNewRows(plan: Plan): boolean {
    return this.#new.has(plan) || this.#planned.has(plan);
  }

  get touchedPlans(): Set<Plan> {
    return new Set([...this.#new, ...this.#planned, ...this.#plans, ...this.#actions.values(), ...this.#steps.values()]);
  }

  get hasChanges(): boolean {
    return this.#new.size + this.#planned.size + this.#plans.size + this.#actions.size + this.#steps.size + this.chunks.length > 0;
  }

  /** Rows as they are now, at the end of the turn: each once, however often it changed. */
  changes(): Changes {
    const changes: Changes = { newPlans: [], newActions: [], newSteps: [], plans: [], actions: [], steps: [], chunks: this.chunks };
    for (const plan of [...this.#new, ...this.#planned]) {
      (this.#new.has(plan) ? changes.newPlans : changes.plans).push(planRow(plan));
      for (const action of plan.actions) {
        changes.newActions.push(actionRow(plan, action));
      }
      for (const step of plan.steps) {
        changes.newSteps.push(stepRow(plan, step));
      }
    }
    for (const plan of this.#plans) {
      changes.plans.push(planRow(plan));
    }
    for (const [action, plan] of this.#actions) {
      changes.actions.push(actionRow(plan, action));
    }
    for (const [step, plan] of this.#steps) {
      changes.steps.push(stepRow(plan, step));
    }
    return changes;
  }

  /** Tokens of the steps that are still ready at the end of the turn. */
  tokens(): ReadyToken[] {
    const tokens = [];
    for (const { plan, step } of this.ready) {
      if (step.isReady && step.waitsFor === null) {
        tokens.push(tokenOf(plan, step));
      }
    }
    return tokens;
  }

  confirmReport(plugin: string, executor: string, claim: string, number: number, result: 'applied' | 'stale'): void {
    const key = `${plugin}.${executor}`;
    const entry = this.applied.get(key) ?? { plugin, executor, reports: [] };
    entry.reports.push({ claim, number, result });
    this.applied.set(key, entry);
  }

  confirmOutput(plugin: string, executor: string, claim: string, seq: number): void {
    const key = `${plugin}.${executor}`;
    const entry = this.stored.get(key) ?? { plugin, executor, output: new Map<string, number>() };
    entry.output.set(claim, seq);
    this.stored.set(key, entry);
  }

  /** The messages that follow the commit of confirmations, one an executor. */
  confirmations(): { plugin: string; executor: string; message: AppliedV1 | OutputStoredV1 }[] {
    return [
      ...[...this.applied.values()].map(({ plugin, executor, reports }) => ({
        plugin,
        executor,
        message: { type: 'applied', version: 1, reports } as const,
      })),
      ...[...this.stored.values()].map(({ plugin, executor, output }) => ({
        plugin,
        executor,
        message: { type: 'output.stored', version: 1, output: [...output].map(([claim, seq]) => ({ claim, seq })) } as const,
      })),
    ];
  }
}

function hasTimeLimits({ waitMs, startMs, runMs, silentMs }: TimeLimits): boolean {
  return waitMs !== undefined || startMs !== undefined || runMs !== undefined || silentMs !== undefined;
}

/** The token of a ready step, with the queue that it goes on and its standing among others. */
export function tokenOf(plan: Plan, step: Step): ReadyToken {
  const { name } = plan.actions[step.action - 1]?.declaration ?? { name: '' };
  return {
    plugin: pluginOf(name),
    queue: step.queue,
    priority: plan.priority,
    parent: plan.callerPlan ?? plan.id,
    age: step.readyAtMs ?? plan.createdAtMs,
    token: { type: 'step.token', version: 1, shard: plan.shard, plan: plan.id, step: step.id, attempt: step.attempt },
  };
}
