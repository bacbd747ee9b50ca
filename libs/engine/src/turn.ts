import type { JsonValue } from '@dynflow/kernel';
import {
  pluginOf,
  type AppliedV1,
  type LocalEvent,
  type OutputStoredV1,
  type StepEventV1,
  type StepTokenV1,
  type SubPlanRequest,
} from '@dynflow/contracts';
import type { Action, Plan, Step } from './model.js';
import type { Changes } from './ports.js';
import { actionRow, planRow, stepRow, type ChunkRow } from './rows.js';

export interface EffectRequest {
  readonly plan: Plan;
  readonly step: number;
  readonly attempt: number;
  readonly action: Action;
  readonly name: string;
  readonly payload: JsonValue;
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
  readonly spawns: { parent: Plan; action: number; children: SubPlanRequest[]; concurrencyLimit: number | null }[] = [];
  readonly applied = new Map<string, { plugin: string; executor: string; reports: AppliedV1['reports'] }>();
  readonly stored = new Map<string, { plugin: string; executor: string; output: Map<string, number> }>();
  readonly events: { plugin: string; executor: string; plan: string; step: number; message: StepEventV1 }[] = [];
  readonly timers: { plan: string; step: number; attempt: number; atMs: number }[] = [];
  /** Plans whose steps have to be asked of an executor. */
  readonly unplanned: Plan[] = [];
  /** Plans that were read from the store in this turn. */
  readonly adopted = new Set<string>();
  /** Plans that came to rest in this turn: stopped or paused. */
  readonly rested = new Set<Plan>();

  constructor(readonly nowMs: number) {}

  addPlan(plan: Plan): void {
    this.#new.add(plan);
  }

  /** A plan that was only a request has its steps now: its row changes, actions and steps are new. */
  addPlanned(stub: Plan, plan: Plan): void {
    this.#new.delete(stub);
    this.#plans.delete(stub);
    this.#planned.add(plan);
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
    if (!this.#hasNewRows(plan)) {
      this.#steps.set(step, plan);
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
  tokens(): { plugin: string; queue: string; token: StepTokenV1 }[] {
    const tokens = [];
    for (const { plan, step } of this.ready) {
      if (step.isReady) {
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

/** The token of a ready step, with the queue that it goes on. */
export function tokenOf(plan: Plan, step: Step): { plugin: string; queue: string; token: StepTokenV1 } {
  const { name } = plan.actions[step.action - 1]?.declaration ?? { name: '' };
  return {
    plugin: pluginOf(name),
    queue: step.queue,
    token: { type: 'step.token', version: 1, shard: plan.shard, plan: plan.id, step: step.id, attempt: step.attempt },
  };
}
