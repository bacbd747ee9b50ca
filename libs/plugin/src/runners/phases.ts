import { DynflowError, InvalidInputError, type JsonObject } from '@dynflow/kernel';
import { PlanNodeSchema, type PlanNode, type Schedule } from '@dynflow/contracts';
import { z } from 'zod';
import type { ActionDefinition } from '../action.js';
import { passThrough, type Middleware, type Pass } from '../middleware.js';
import { planSelf } from '../plan-dsl.js';
import type { Release, RunContext, Suspension } from '../run-context.js';
import { invokeAction, parseActionInput, type InvocationOutcome } from './invocation.js';
import { jsonFaultOf } from './json-fault.js';

/** An action with what stands around its phases. */
export interface ActionWithMiddleware {
  /** Full name. */
  readonly name: string;
  readonly action: ActionDefinition;
  /** The outermost first. */
  readonly middleware: readonly Middleware[];
}

/** Thrown when what a plan phase planned, or what is to be planned later, cannot be kept as JSON. */
export class NotJsonError extends DynflowError {
  constructor(code: 'DYN_INVALID_PLAN' | 'DYN_INVALID_INPUT' | 'DYN_INVALID_OUTPUT', what: string, fault: string) {
    super(code, `${what} cannot be kept as JSON: ${fault}`);
  }
}

/** What a run gives to be kept while it goes on has to be JSON, as its output has. @throws NotJsonError naming the place */
export function assertJson(what: string, value: unknown, name: string): void {
  const fault = jsonFaultOf(value, name);
  if (fault !== null) {
    throw new NotJsonError('DYN_INVALID_OUTPUT', what, fault);
  }
}

/**
 * Does a run or finalize phase with all that stands around it. The input is parsed when it has come through; the context has it from
 * then on. Never throws: see `invokeAction`.
 */
export async function performPhase(
  { name, action, middleware }: ActionWithMiddleware,
  phase: 'run' | 'finalize',
  input: JsonObject,
  context: RunContext<unknown, unknown> & { input: unknown },
): Promise<InvocationOutcome> {
  const levels = middleware.filter((each) => each[phase] !== undefined);
  if (levels.length === 0) {
    const parsed = await parseActionInput(action, input);
    if (!parsed.ok) {
      return parsed.outcome;
    }
    context.input = parsed.input;
    return invokeAction(action, phase, context);
  }
  return invokeAction(action, phase, context, async (code) =>
    passThrough<Middleware, JsonObject | Suspension | Release>(
      levels,
      input,
      async (level, pass, current) => enterPhase(level, phase, pass, { action: name, input: current, run: context }),
      async (current) => {
        context.input = await parsedOf(action, current);
        return code() as Promise<JsonObject | Suspension | Release>;
      },
    ),
  );
}

async function enterPhase(
  level: Middleware,
  phase: 'run' | 'finalize',
  pass: Pass<JsonObject | Suspension | Release>,
  call: Parameters<NonNullable<Middleware['run']>>[1],
): Promise<JsonObject | Suspension | Release> {
  if (phase === 'run') {
    return level.run === undefined ? pass() : level.run(pass, call);
  }
  // What is not an object is found when all is through: a finalize phase cannot wait.
  return level.finalize === undefined ? pass() : level.finalize(pass as Pass<JsonObject>, call);
}

/** What came of a plan phase. */
export interface PlannedTree {
  readonly nodes: PlanNode[];
  /** Given if a middleware changed it: what `fromInput` and a plain `planSelf()` stand for then. */
  readonly input?: JsonObject;
}

/**
 * Does the plan phase.
 *
 * @throws whatever the plan method and its middleware throw; InvalidInputError for an input that does not fit; NotJsonError and ZodError
 *   for a tree that is none.
 */
export async function performPlanPhase({ name, action, middleware }: ActionWithMiddleware, input: JsonObject): Promise<PlannedTree> {
  let plannedWith = input;
  const nodes = await passThrough<Middleware, PlanNode[]>(
    middleware,
    input,
    async (level, pass, current) => (level.plan === undefined ? pass(current) : level.plan(pass, { action: name, input: current })),
    async (current) => {
      const parsed = await parsedOf(action, current);
      plannedWith = current;
      return typeof action.plan === 'function' ? action.plan(parsed) : (action.plan ?? [planSelf()]);
    },
  );
  const fault = jsonFaultOf(nodes, 'plan');
  if (fault !== null) {
    throw new NotJsonError('DYN_INVALID_PLAN', `what ${action.name} planned`, fault);
  }
  return { nodes: z.array(PlanNodeSchema).parse(nodes), ...(plannedWith === input ? {} : { input: changedInput(action, plannedWith) }) };
}

function changedInput(action: ActionDefinition, input: JsonObject): JsonObject {
  const fault = jsonFaultOf(input, 'input');
  if (fault !== null) {
    throw new NotJsonError('DYN_INVALID_INPUT', `the input that ${action.name} was planned with`, fault);
  }
  return input;
}

/**
 * Looks at the input of a plan that is to be scheduled for later.
 *
 * @returns the input to store.
 * @throws what refuses it; InvalidInputError; NotJsonError.
 */
export async function performDelay(
  { name, action, middleware }: ActionWithMiddleware,
  input: JsonObject,
  schedule: Partial<Schedule>,
): Promise<JsonObject> {
  const delayed = await passThrough<Middleware, JsonObject>(
    middleware,
    input,
    async (level, pass, current) =>
      level.delay === undefined ? pass(current) : level.delay(pass, { action: name, input: current, schedule }),
    async (current) => {
      const parsed = await parsedOf(action, current);
      return action.delay === undefined ? current : action.delay(parsed, schedule);
    },
  );
  const fault = jsonFaultOf(delayed, 'input');
  if (fault !== null) {
    throw new NotJsonError('DYN_INVALID_INPUT', `the input of ${action.name} for later`, fault);
  }
  return delayed;
}

async function parsedOf(action: ActionDefinition, input: JsonObject): Promise<unknown> {
  const parsed = await parseActionInput(action, input);
  if (!parsed.ok) {
    throw new InvalidInputError('input', parsed.outcome.kind === 'failed' ? parsed.outcome.error.message : 'the input does not fit');
  }
  return parsed.input;
}
