import { EngineWorld, type HeldStep } from '@dynflow/testing/engine';
import type { JsonObject } from '@dynflow/kernel';
import { declarationOf, definePlugin, type Plugin } from '../plugin.js';
import { runLocalAction } from '../runners/local-run.js';
import { runAction } from '../testing/run-action.js';
import { z } from 'zod';
import type { ActionDefinition } from '../action.js';
import type { LocalActionDefinition } from '../local-action.js';

/** An engine's world with the actions of a plugin `demo`: those of the gateway run in its turns, the others by {@link DemoWorld.run}. */
export class DemoWorld {
  readonly world = new EngineWorld();
  readonly #plugin: Plugin;

  constructor(actions: { executor?: ActionDefinition[]; local?: LocalActionDefinition[] }) {
    const { executor = [], local = [] } = actions;
    this.#plugin = definePlugin({
      name: 'demo',
      version: '1',
      settings: { section: 'demo', schema: z.object({}) },
      actions: executor,
      gateway: { actions: local },
    });
    for (const declared of declarationOf(this.#plugin, {}).actions) {
      const definition = local.find(({ name }) => `demo.${name}` === declared.name);
      if (definition?.run === undefined) {
        this.world.actions.executor(declared.name, declared);
      } else {
        const { run, input, name } = definition;
        this.world.actions.local(declared.name, (invocation) => runLocalAction({ name, run, input }, invocation), declared);
      }
    }
  }

  /** An executor runs a step that it holds, and reports what came of it. */
  async run(held: HeldStep): Promise<void> {
    const { grant } = held;
    const { outcome, updates, plannedEvents } = await runAction(this.#plugin, grant.action.replace('demo.', ''), {
      input: grant.input,
      output: grant.output,
      attempt: grant.attempt,
      phase: grant.phase,
      events: grant.events,
      ...(grant.checkpoint === undefined ? {} : { checkpoint: grant.checkpoint }),
      ...(grant.subPlans === undefined ? {} : { subPlans: grant.subPlans }),
      ...(grant.cancel === undefined ? {} : { cancel: grant.cancel }),
    });
    for (const update of updates) {
      await this.world.report(held, { kind: 'checkpoint', ...update });
    }
    if (plannedEvents.length > 0) {
      await this.world.report(held, { kind: 'checkpoint', planEvents: plannedEvents });
    }
    await this.world.report(held, outcome);
  }

  /** Executors run whatever is ready, until nothing is. */
  async runReady(): Promise<void> {
    await this.world.settle();
    while (this.world.tokens.length > 0) {
      const answer = await this.world.tryClaim();
      if (!('result' in answer)) {
        await this.run(answer);
      }
    }
  }

  /** Lets time pass to the next appointment and executors run what that makes ready. @returns how much time that took. */
  async step(): Promise<number> {
    const { clock } = this.world;
    const before = clock.now();
    await this.world.advance(Math.max(0, (clock.nextAtMs ?? before) - before));
    await this.runReady();
    return clock.now() - before;
  }

  output(plan: string, action = 1): JsonObject {
    return this.world.plan(plan).output(action);
  }
}
