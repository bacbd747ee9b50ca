import type { JsonObject } from '@dynflow/kernel';
import type { PlanNode, Schedule } from '@dynflow/contracts';
import type { Release, RunContext, Suspension } from './run-context.js';
import { orderMiddleware, type MiddlewareList, type NamedMiddleware } from './middleware-rules.js';

/**
 * Goes one level deeper, in the end to the action itself. With an input, what is deeper gets that one instead.
 *
 * It may be called more than once (a retry, say) or not at all; then what is deeper does not happen, and the middleware's own answer
 * counts.
 */
export type Pass<Answer> = (input?: JsonObject) => Promise<Answer>;

/** What a middleware sees of what it stands around. */
export interface MiddlewareCall {
  /** Full name of the action. */
  readonly action: string;
  /** As it came to this level: JSON, before the action's schema has parsed it. In a run, references are resolved and secrets are in it. */
  readonly input: JsonObject;
}

/** The same for `delay`. */
export interface DelayCall extends MiddlewareCall {
  readonly schedule: Partial<Schedule>;
}

/** The same for `run` and `finalize`. */
export interface RunCall extends MiddlewareCall {
  /** What the action's code has: plan, step, attempt, output so far, services, log and the rest. */
  readonly run: Omit<RunContext<unknown, unknown>, 'input'>;
}

/**
 * Code around the phases of actions, in the executor. Each method stands around the phase of its name, and answers what the phase would:
 * what `pass()` gave, something else, or an error that it throws.
 *
 * - `delay`: before a plan of the action is scheduled for later. The answer is the input that is stored.
 * - `plan`: around the plan phase. The answer is the tree. An action with such middleware is planned by an executor.
 * - `run`, `finalize`: around each invocation.
 */
export interface Middleware extends NamedMiddleware {
  delay?: (pass: Pass<JsonObject>, call: DelayCall) => Promise<JsonObject>;
  plan?: (pass: Pass<PlanNode[]>, call: MiddlewareCall) => Promise<PlanNode[]>;
  run?: (pass: Pass<JsonObject | Suspension | Release>, call: RunCall) => Promise<JsonObject | Suspension | Release>;
  finalize?: (pass: Pass<JsonObject>, call: RunCall) => Promise<JsonObject>;
}

/** Declares a middleware; it only helps the compiler. */
export function defineMiddleware(middleware: Middleware): Middleware {
  return middleware;
}

/**
 * Goes through the levels around something, the outermost first.
 *
 * @param enter calls one level's method.
 * @param inmost does the thing itself.
 */
export function passThrough<Level, Answer>(
  levels: readonly Level[],
  input: JsonObject,
  enter: (level: Level, pass: Pass<Answer>, input: JsonObject) => Promise<Answer>,
  inmost: (input: JsonObject) => Promise<Answer>,
): Promise<Answer> {
  const from = (index: number, current: JsonObject): Promise<Answer> => {
    const level = levels[index];
    return level === undefined ? inmost(current) : enter(level, async (changed) => from(index + 1, changed ?? current), current);
  };
  return from(0, input);
}

/**
 * An action like another one: what is given replaces what the other has, but lists of middleware add up, the other's outermost. The new
 * one knows whom it is derived from ({@link descendantsOf}).
 *
 * @example
 * ```ts
 * const Restart = extendAction(RunCommand, { name: 'Restart', middleware: [doNotUse('Audit')] });
 * ```
 */
export function extendAction<Action extends Derivable>(base: Action, change: Partial<Action> & { name: string }): Action {
  const middleware = [...(base.middleware ?? []), ...(change.middleware ?? [])];
  const hooks = [...(base.hooks ?? []), ...(change.hooks ?? [])];
  return { ...base, ...change, derivedFrom: base, middleware, hooks };
}

/** What an action must have to be derived from: any action has it. */
export interface Derivable {
  readonly name: string;
  readonly middleware?: MiddlewareList<NamedMiddleware>;
  readonly hooks?: readonly object[];
  readonly derivedFrom?: Derivable;
}

/** Those of `actions` that are derived from this one, directly or by others. */
export function descendantsOf<Action extends Derivable>(base: Derivable, actions: readonly Action[]): Action[] {
  return actions.filter((action) => {
    for (let ancestor = action.derivedFrom; ancestor !== undefined; ancestor = ancestor.derivedFrom) {
      if (ancestor === base) {
        return true;
      }
    }
    return false;
  });
}

/** Whether an action is planned or delayed by asking an executor, for the sake of its middleware. */
export function isAskedFor(point: 'plan' | 'delay', middleware: readonly Middleware[]): boolean {
  return middleware.some((each) => each[point] !== undefined);
}

/** What stands around an action of a plugin, the outermost first. @throws MiddlewareCycleError */
export function middlewareOf(
  plugin: { readonly name: string; readonly middleware?: MiddlewareList<Middleware> },
  action: { readonly name: string; readonly middleware?: MiddlewareList<Middleware> },
): Middleware[] {
  return orderMiddleware([plugin.middleware ?? [], action.middleware ?? []], `${plugin.name}.${action.name}`);
}
