import { DynflowError } from '@dynflow/kernel';
import type { StepErrorV1 } from '@dynflow/contracts';
import type { EngineParts } from './engine-parts.js';
import { assertKey, assertSameLaunch, fingerprintOf } from './idempotency.js';
import { NOTHING_KNOWN, lookUp } from './known.js';
import { UnknownActionError } from './plan-expansion.js';
import type { PlanLoader } from './plan-loader.js';
import type { Planner, TriggerInput } from './planner.js';

/**
 * Takes launches: what must be known before a plan is made is looked up, and the same launch twice is one plan.
 *
 * Owns: idempotent launches, and asking before a plan is scheduled. Does not own: making plans.
 */
export class Launches {
  readonly #engine: EngineParts;
  readonly #loader: PlanLoader;
  readonly #planner: Planner;

  constructor(engine: EngineParts, rooms: { loader: PlanLoader; planner: Planner }) {
    this.#engine = engine;
    this.#loader = rooms.loader;
    this.#planner = rooms.planner;
  }

  /** @throws as `Engine.trigger` */
  async trigger(request: TriggerInput): Promise<{ plan: string; created: boolean; error?: StepErrorV1 }> {
    const { catalogue, store } = this.#engine.options;
    if (catalogue.declarationOf(request.action) === undefined) {
      throw new UnknownActionError(request.action);
    }
    const { idempotencyKey: key } = request;
    if (key !== undefined) {
      assertKey(key);
    }
    const ids = request.id === undefined ? [] : [request.id];
    const lines = key === undefined ? ids : [...ids, `idempotency key ${key}`];
    return this.#loader.inLine(lines, async () => {
      if (key !== undefined) {
        const known = await this.#launchedWith(key, request);
        if (known !== null) {
          return { plan: known, created: false };
        }
      }
      // Most launches have nothing to look up, and wait for nothing.
      const known = ids.length === 0 && request.schedule === undefined ? NOTHING_KNOWN : await lookUp(this.#engine.options, [request]);
      try {
        return await this.#engine.put((turn) => {
          this.#loader.assertRead(ids);
          this.#planner.assertSchedule(request, known.existing);
          return this.#planner.makePlan(request, known, turn);
        });
      } catch (error) {
        // Another gateway on the same database was quicker with this key.
        const isTaken = error instanceof DynflowError && error.code === 'DYN_DUPLICATE_PLAN';
        const other = isTaken && key !== undefined ? (await store.byIdempotencyKeys([key])).get(key) : undefined;
        if (other === undefined) {
          throw error;
        }
        return { plan: other, created: false };
      }
    });
  }

  async #launchedWith(key: string, request: TriggerInput): Promise<string | null> {
    const { store } = this.#engine.options;
    const id = (await store.byIdempotencyKeys([key])).get(key);
    const stored = id === undefined ? null : await store.load(id);
    if (stored === null) {
      return null;
    }
    assertSameLaunch(key, fingerprintOf(request.action, request.input), stored.plan);
    return stored.plan.id;
  }
}
