import type { JsonObject } from '@dynflow/kernel';
import type { StepErrorV1, SubPlanRequest } from '@dynflow/contracts';
import type { EngineOptions } from './engine-parts.js';
import { scheduleOf } from './schedule-request.js';

/** What was looked up and asked before plans are made: making them is one step of a turn, which cannot wait. */
export interface Known {
  /** Which of the ids that the launches name, as their own or as prerequisites, are stored. */
  readonly existing: ReadonlySet<string>;
  /** What executors said of delaying them, by launch. */
  readonly delays: ReadonlyMap<SubPlanRequest, { input: JsonObject } | { error: StepErrorV1 }>;
}

/** For a launch that needs nothing looked up. */
export const NOTHING_KNOWN: Known = { existing: new Set(), delays: new Map() };

/** Looks up and asks what `Planner.makePlan` has to know of these. @throws UnavailableError */
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
