import { isDeepStrictEqual } from 'node:util';
import type { ActionRow } from '@dynflow/engine';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { PlanRecord } from '../engine/plan-record.js';
import { finalizeNames, flowNames, readableInput } from './flow-names.js';

/*
 * Assertions on plans, for any test runner: they throw an error with `actual` and `expected`, which runners show as a difference.
 */

/** Thrown by the assertions of this file. */
export class PlanAssertionError extends Error {
  override readonly name = 'AssertionError';

  constructor(
    message: string,
    readonly actual?: unknown,
    readonly expected?: unknown,
  ) {
    super(message);
  }
}

/** An input as it should be (references in one word, see {@link readableInput}), or what has to hold for it. */
export type ExpectedInput = JsonObject | ((input: JsonObject) => boolean);

/** The action was planned, any number of times. @returns its rows. */
export function assertActionPlanned(plan: PlanRecord, action: string): ActionRow[] {
  const planned = plan.actions.filter(({ name }) => name === action);
  if (planned.length === 0) {
    throw new PlanAssertionError(`"${action}" was not planned`, namesOf(plan), action);
  }
  return planned;
}

export function refuteActionPlanned(plan: PlanRecord, action: string): void {
  if (plan.actions.some(({ name }) => name === action)) {
    throw new PlanAssertionError(`"${action}" was planned`, namesOf(plan));
  }
}

/** The action was planned with this input at least once. @returns the first such row. */
export function assertActionPlannedWith(plan: PlanRecord, action: string, expected: ExpectedInput): ActionRow {
  const planned = assertActionPlanned(plan, action);
  return firstThatFits(plan, planned, expected, `"${action}" was planned, but not with this input`);
}

/** The action has a run phase, with this input if one is given. @returns the first such row. */
export function assertRunPhase(plan: PlanRecord, action: string, expected?: ExpectedInput): ActionRow {
  return assertPhase(plan, action, 'runStep', expected);
}

export function refuteRunPhase(plan: PlanRecord, action: string): void {
  refutePhase(plan, action, 'runStep');
}

/** The action has a finalize phase, with this input if one is given. @returns the first such row. */
export function assertFinalizePhase(plan: PlanRecord, action: string, expected?: ExpectedInput): ActionRow {
  return assertPhase(plan, action, 'finalizeStep', expected);
}

export function refuteFinalizePhase(plan: PlanRecord, action: string): void {
  refutePhase(plan, action, 'finalizeStep');
}

/** State and result in one word: `stopped/success`. A failed plan's errors are part of the message. */
export function assertVerdict(plan: PlanRecord, expected: string): void {
  if (plan.verdict !== expected) {
    const errors = plan.steps.flatMap(({ id, error }) => (error === null ? [] : [`step ${id}: ${error.errorClass}: ${error.message}`]));
    throw new PlanAssertionError(
      `the plan is ${plan.verdict}, not ${expected}${errors.map((text) => `; ${text}`).join('')}`,
      plan.verdict,
      expected,
    );
  }
}

/** The run flow, with names of actions for steps: `["S", "demo.A", ["C", "demo.B", "demo.C"]]`. */
export function assertRunFlow(plan: PlanRecord, expected: JsonValue): void {
  const actual = flowNames(plan);
  if (!isDeepStrictEqual(actual, expected)) {
    throw new PlanAssertionError(`the run flow is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`, actual, expected);
  }
}

/** The actions that have a finalize phase, in its order. */
export function assertFinalizeFlow(plan: PlanRecord, expected: readonly string[]): void {
  const actual = finalizeNames(plan);
  if (!isDeepStrictEqual(actual, expected)) {
    throw new PlanAssertionError(`the finalize flow is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`, actual, expected);
  }
}

/** Some run of the action has this output. @returns the first such row. */
export function assertOutput(plan: PlanRecord, action: string, expected: JsonObject | ((output: JsonObject) => boolean)): ActionRow {
  const planned = assertActionPlanned(plan, action);
  const found = planned.find(({ output }) => fits(output, expected));
  if (found === undefined) {
    throw new PlanAssertionError(
      `no "${action}" has this output`,
      planned.map(({ output }) => output),
      wordsFor(expected),
    );
  }
  return found;
}

function assertPhase(plan: PlanRecord, action: string, step: 'runStep' | 'finalizeStep', expected: ExpectedInput | undefined): ActionRow {
  const phase = step === 'runStep' ? 'run' : 'finalize';
  const withPhase = assertActionPlanned(plan, action).filter((each) => each[step] !== null);
  const [first] = withPhase;
  if (first === undefined) {
    throw new PlanAssertionError(`"${action}" was planned without a ${phase} phase`);
  }
  return expected === undefined ? first : firstThatFits(plan, withPhase, expected, `the ${phase} phase of "${action}" has another input`);
}

function refutePhase(plan: PlanRecord, action: string, step: 'runStep' | 'finalizeStep'): void {
  if (assertActionPlanned(plan, action).some((each) => each[step] !== null)) {
    throw new PlanAssertionError(`"${action}" has a ${step === 'runStep' ? 'run' : 'finalize'} phase`);
  }
}

function firstThatFits(plan: PlanRecord, rows: readonly ActionRow[], expected: ExpectedInput, message: string): ActionRow {
  const found = rows.find(({ input }) => fits(readableInput(plan, input), expected));
  if (found === undefined) {
    const actual = rows.map(({ input }) => readableInput(plan, input));
    throw new PlanAssertionError(`${message}: ${JSON.stringify(actual)}`, actual, wordsFor(expected));
  }
  return found;
}

function fits(value: JsonObject, expected: ExpectedInput): boolean {
  return typeof expected === 'function' ? expected(value) : isDeepStrictEqual(value, expected);
}

function wordsFor(expected: ExpectedInput): unknown {
  return typeof expected === 'function' ? 'one for which the condition holds' : expected;
}

function namesOf(plan: PlanRecord): string[] {
  return plan.actions.map(({ name }) => name);
}
