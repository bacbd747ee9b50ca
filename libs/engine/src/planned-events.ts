import type { PlannedEventV1 } from '@dynflow/contracts';
import type { EngineParts } from './engine-parts.js';
import { actionOf, type Plan, type Step, type StoredEvent } from './model.js';
import { eventMessage } from './step-events.js';
import type { Turn } from './turn.js';

/*
 * Events for steps: those that come from outside, and those that a step plans for itself.
 *
 * Owns: which events a step will get and when. Does not own: the timers, which only ring.
 *
 * P1. A planned event is stored with its step and given once: in the turn in which it leaves the record of what is planned it stands among
 *     the events that the step gets, or (a local action) wakes it.
 * P2. When a step ends, what it has planned is dropped.
 */

/**
 * Records events that a step of an executor plans in a report. Those without delay are among its events at once. `name` tells this report
 * from others of the step.
 */
export function planEvents(plan: Plan, step: Step, events: readonly PlannedEventV1[], name: string, turn: Turn): void {
  for (const [index, { data, afterMs }] of events.entries()) {
    const event: StoredEvent = { id: `${name}.${index}`, data };
    if (afterMs > 0) {
      record(plan, step, event, afterMs, turn);
    } else {
      step.events.push(event);
      turn.touchStep(plan, step);
    }
  }
}

/** Records an event that a local action plans; without delay it wakes the action in this turn. */
export function planLocalEvent(engine: EngineParts, plan: Plan, step: Step, planned: PlannedEventV1 & { id: string }, turn: Turn): void {
  if (step.state.name !== 'suspended') {
    return;
  }
  if (planned.afterMs > 0) {
    record(plan, step, planned, planned.afterMs, turn);
  } else {
    engine.director.wake(plan, step, { kind: 'external', data: planned.data }, turn);
  }
}

/** Sets the timers of a plan that was read from the store. */
export function armPlannedEvents(plan: Plan, turn: Turn): void {
  for (const step of plan.steps) {
    for (const { id, atMs } of step.plannedEvents) {
      turn.timers.push({ plan: plan.id, step: step.id, attempt: step.attempt, atMs, event: id });
    }
  }
}

/** The time of a planned event has come. */
export function plannedEventIsDue(engine: EngineParts, plan: Plan, step: Step, id: string, turn: Turn): void {
  const index = step.plannedEvents.findIndex((event) => event.id === id);
  const [event] = index < 0 ? [] : step.plannedEvents.splice(index, 1);
  if (event !== undefined) {
    turn.touchStep(plan, step);
    giveEvent(engine, plan, step, { id, data: event.data }, turn);
  }
}

/** Gives an event to a step that is running or suspended: its holder is told, or it is woken. @returns false if it takes none any more. */
export function giveEvent(engine: EngineParts, plan: Plan, step: Step, event: StoredEvent, turn: Turn): boolean {
  if (step.state.name !== 'running' && step.state.name !== 'suspended') {
    return false;
  }
  const { name } = actionOf(plan, step.action).declaration;
  if (engine.options.catalogue.isLocal(name)) {
    engine.director.wake(plan, step, { kind: 'external', data: event.data }, turn);
    return true;
  }
  step.events.push(event);
  turn.touchStep(plan, step);
  if (step.state.name === 'running' && step.state.claim !== null) {
    turn.events.push(eventMessage(plan, step, step.state.claim, name, event));
  } else {
    engine.director.wake(plan, step, undefined, turn);
  }
  return true;
}

function record(plan: Plan, step: Step, { id, data }: StoredEvent, afterMs: number, turn: Turn): void {
  const atMs = turn.nowMs + afterMs;
  step.plannedEvents.push({ id, data, atMs });
  turn.touchStep(plan, step);
  turn.timers.push({ plan: plan.id, step: step.id, attempt: step.attempt, atMs, event: id });
}
