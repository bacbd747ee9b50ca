import { DynflowError, InvalidInputError, type JsonObject } from '@dynflow/kernel';
import type { Schedule, StepErrorV1, SubPlanRequest } from '@dynflow/contracts';
import type { EngineOptions, EngineParts } from './engine-parts.js';
import { assertKey, assertSameLaunch, fingerprintOf } from './idempotency.js';
import { UnknownActionError } from './plan-expansion.js';
import type { PlanLoader } from './plan-loader.js';
import type { Planner, TriggerInput } from './planner.js';

/** What was looked up and asked before plans are made: making them is one step of a turn, which cannot wait. */
export interface Known {
  /** Which of the ids that the launches name, as their own or as prerequisites, are stored. */
  readonly existing: ReadonlySet<string>;
  /** What executors said of delaying them, by launch. */
  readonly delays: ReadonlyMap<SubPlanRequest, { input: JsonObject } | { error: StepErrorV1 }>;
}

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

const NOTHING_KNOWN: Known = { existing: new Set(), delays: new Map() };

/** Looks up and asks what {@link Planner.makePlan} has to know of these. @throws UnavailableError */
export async function lookUp(options: EngineOptions, requests: readonly SubPlanRequest[]): Promise<Known> {
  const { store, catalogue, outbox } = options;
  const ids = requests.flatMap(({ id, schedule }) => [...(id === undefined ? [] : [id]), ...(schedule?.after ?? [])]);
  const existing = await store.existing(ids);
  const delays = new Map<SubPlanRequest, { input: JsonObject } | { error: StepErrorV1 }>();
  for (const request of requests) {
    const declaration = request.schedule === undefined ? undefined : catalogue.declarationOf(request.action);
    const schedule = scheduleOf(request.schedule);
    if (schedule !== null && declaration?.delay === 'asked' && !(request.id !== undefined && existing.has(request.id))) {
      delays.set(request, await outbox.askDelay(declaration, request.input, schedule));
    }
  }
  return { existing, delays };
}

/** A schedule with everything in it; null: there is none. */
export function scheduleOf(given: Partial<Schedule> | undefined): Schedule | null {
  if (given === undefined) {
    return null;
  }
  const { startAtMs = null, startBeforeMs = null, isFrozen = false, after = [] } = given;
  return { startAtMs, startBeforeMs, isFrozen, after: [...new Set(after)] };
}

/** @throws InvalidInputError for moments that are none, or a start that would come after the deadline. */
export function assertMoments({ startAtMs, startBeforeMs }: Pick<Schedule, 'startAtMs' | 'startBeforeMs'>): void {
  for (const [name, moment] of Object.entries({ startAtMs, startBeforeMs })) {
    if (moment !== null && !(Number.isFinite(moment) && Math.abs(moment) <= MAX_TIME_MS)) {
      throw new InvalidInputError(`schedule.${name}`, `schedule.${name}: expected a moment in epoch milliseconds, got ${String(moment)}`);
    }
  }
  if (startAtMs !== null && startBeforeMs !== null && startAtMs >= startBeforeMs) {
    throw new InvalidInputError(
      'schedule.startBeforeMs',
      'schedule.startBeforeMs: it is not after startAtMs, so the plan could never begin',
    );
  }
}

/** The last moment that a date can have. */
const MAX_TIME_MS = 8.64e15;
