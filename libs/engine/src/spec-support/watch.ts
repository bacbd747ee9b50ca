import type { EngineWorld } from '@dynflow/testing/engine';
import type { StepRow } from '../rows.js';
import { PLAN_TRANSITIONS, STEP_TRANSITIONS } from '../states.js';
import { LIMIT, LIMITED } from './random-plans.js';

function reachable(table: Readonly<Record<string, readonly string[]>>, from: string): Set<string> {
  const found = new Set([from]);
  for (const state of found) {
    table[state]?.forEach((next) => found.add(next));
  }
  return found;
}

const UNDER_WAY = new Set(['planning', 'planned', 'running']);

/** The order of precedence of results, written out a second time. */
function expectedResult(states: readonly string[]): string {
  if (states.includes('cancelled')) return 'cancelled';
  if (states.includes('error')) return 'error';
  if (states.includes('skipping') || states.includes('skipped')) return 'warning';
  return states.length > 0 && states.every((state) => state === 'success') ? 'success' : 'pending';
}

/** Watches every commit: what is stored may only move along the tables, and results follow from steps. */
export class Watch {
  readonly broken: string[] = [];
  readonly #plans = new Map<string, string>();
  readonly #steps = new Map<string, StepRow>();
  #seen = 0;

  constructor(readonly world: EngineWorld) {}

  look(): void {
    const { commits } = this.world.store;
    for (; this.#seen < commits.length; this.#seen += 1) {
      const changes = commits[this.#seen]!;
      for (const { id, state } of [...changes.newPlans, ...changes.plans]) {
        this.#check(`plan ${id}`, PLAN_TRANSITIONS, this.#plans.get(id), state);
        this.#plans.set(id, state);
      }
      for (const step of [...changes.newSteps, ...changes.steps]) {
        const key = `${step.plan}/${step.id}`;
        const before = this.#steps.get(key);
        this.#check(`${step.kind} step ${key}`, STEP_TRANSITIONS[step.kind], before?.state, step.state);
        if (before !== undefined && step.attempt < before.attempt) {
          this.broken.push(`${key} went back to attempt ${step.attempt}`);
        }
        this.#steps.set(key, step);
      }
    }
    const { plans } = this.world;
    const single = plans.filter(({ state, actions }) => UNDER_WAY.has(state) && actions.some(({ name }) => name === 'p.Single'));
    if (single.length > 1) {
      this.broken.push(`${single.map(({ row }) => row.id).join(' and ')} have the same singleton`);
    }
    for (const { row, states } of plans) {
      if (row.result !== (row.isHalted ? 'halted' : expectedResult(states))) {
        this.broken.push(`plan ${row.id} is ${row.result} with steps ${states.join(' ')}`);
      }
    }
    const underWay = this.world.plans
      .filter(({ state, row }) => state === 'running' && !row.isHalted)
      .flatMap(({ steps, actions }) => steps.filter(({ kind, action }) => kind === 'run' && LIMITED.has(actions[action - 1]?.name ?? '')))
      .filter(({ state, detail }) => state === 'running' || (state === 'suspended' && detail.isRetry !== true));
    if (underWay.length > LIMIT.concurrency) {
      this.broken.push(`${underWay.length} are under way at once: ${underWay.map(({ plan, id }) => `${plan}/${id}`).join(' ')}`);
    }
    this.broken.push(...this.world.store.doubledRows);
  }

  #check(what: string, table: Readonly<Record<string, readonly string[]>>, from: string | undefined, to: string): void {
    if (from !== undefined && !reachable(table, from).has(to)) {
      this.broken.push(`${what} went from ${from} to ${to}`);
    }
  }
}
