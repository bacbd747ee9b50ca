import { z } from 'zod';
import type { JsonObject } from '@dynflow/kernel';
import type { HeldStep, PlanRecord } from '@dynflow/testing/engine';
import { defineAction } from '../action.js';
import { defineSubPlansAction, type SubPlansDefinition } from '../sub-plans-action.js';
import { DemoWorld } from './plugin-in-world.js';

const parentInput = z.object({ count: z.number() });
type ParentOptions = Partial<Omit<SubPlansDefinition<typeof parentInput>, 'name' | 'input'>>;

/**
 * A plan of `demo.Parent` with so many sub-plans of `demo.Child`, which executors finish when they are told to. Without the action of the
 * children (`childrenAreGone`) none of these can be planned.
 */
export class Family extends DemoWorld {
  /** From and size of each batch that was asked for. */
  readonly batches: [from: number, size: number][] = [];
  plan = '';

  constructor(options: ParentOptions = {}) {
    const Parent = defineSubPlansAction({
      totalCount: ({ count }) => count,
      batch: (_, from, size) => {
        this.batches.push([from, size]);
        return Array.from({ length: size }, (__, index) => ({ action: 'demo.Child', input: { n: from + index } }));
      },
      ...options,
      name: 'Parent',
      input: parentInput,
    });
    const Child = defineAction({
      name: 'Child',
      input: z.object({ n: z.number() }),
      cancellable: true,
      run: async (context) => Promise.resolve({ n: context.input.n }),
    });
    super({ local: [Parent], executor: [Child] });
  }

  async begin(count: number): Promise<this> {
    this.plan = await this.world.trigger('demo.Parent', { count });
    return this;
  }

  childrenAreGone(): this {
    this.world.actions.remove('demo.Child');
    return this;
  }

  childrenAreBack(): void {
    this.world.actions.executor('demo.Child', { cancellable: true });
  }

  get parent(): PlanRecord {
    return this.world.plan(this.plan);
  }

  get children(): PlanRecord[] {
    return this.world.plans.filter(({ row }) => row.callerPlan === this.plan);
  }

  /** Verdicts of the children, each with how many have it. */
  get verdicts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { verdict } of this.children) {
      counts[verdict] = (counts[verdict] ?? 0) + 1;
    }
    return counts;
  }

  get counters(): JsonObject {
    return this.output(this.plan);
  }

  /** Whatever is ready ends well, at most so many. */
  async finish(most = Infinity): Promise<void> {
    await this.#each(most, async (held) => this.world.finish(held));
  }

  async fail(most = Infinity): Promise<void> {
    await this.#each(most, async (held) => this.world.fail(held));
  }

  async #each(most: number, end: (held: HeldStep) => Promise<unknown>): Promise<void> {
    for (let count = 0; count < most && this.world.tokens.length > 0;) {
      const answer = await this.world.tryClaim();
      // Tokens may be doubled after a restart.
      if (!('result' in answer)) {
        await end(answer);
        count += 1;
      }
    }
  }

  /** Resumes children that have failed, and ends them well. */
  async rerun(most = Infinity): Promise<void> {
    for (const { row } of this.children.filter(({ state }) => state === 'paused').slice(0, most)) {
      await this.world.ask((engine) => engine.resume(row.id));
    }
    await this.finish();
  }

  async resume(): Promise<void> {
    await this.world.ask((engine) => engine.resume(this.plan));
  }

  async cancel(force = false): Promise<void> {
    await this.world.ask((engine) => engine.cancel(this.plan, { force }));
  }
}
