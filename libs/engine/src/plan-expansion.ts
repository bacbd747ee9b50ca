import { DynflowError, isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { ActionDeclaration, PlanNode } from '@dynflow/contracts';
import type { PlanAnswer } from './model.js';
import type { ActionCatalogue } from './ports.js';

/** Stands, while a plan is made, for an output that will exist later. It never leaves this package. */
export class PendingOutput {
  constructor(
    readonly of: PlannedAction,
    readonly subkeys: readonly string[],
  ) {}
}

/** JSON in which outputs of other actions may still be pending. */
export type PlanningValue = JsonValue | PendingOutput | PlanningValue[] | { [key: string]: PlanningValue };

/** One action of the tree: its declaration, the input of its own steps (null: it only plans) and what it planned, in order. */
export interface PlannedAction {
  readonly declaration: ActionDeclaration;
  readonly planningInput: PlanningValue;
  selfInput: PlanningValue | null;
  readonly body: PlannedNode[];
  /** Planned because they subscribe to this action: beside it, after it in planning order. */
  subscribers: readonly PlannedAction[];
}

export type PlannedNode =
  { kind: 'self' } | { kind: 'action'; planned: PlannedAction } | { kind: 'sequence' | 'concurrence'; nodes: PlannedNode[] };

/** An action whose plan method an executor has to be asked for; `key` finds its answer again. */
export interface AskedPlan {
  readonly key: string;
  readonly declaration: ActionDeclaration;
  readonly input: JsonObject;
}

/** Thrown when a plan names an action that no plugin declares. */
export class UnknownActionError extends DynflowError {
  constructor(action: string) {
    super(
      'DYN_UNKNOWN_ACTION',
      `no plugin declares the action "${action}": it may have been renamed or removed, or its plugin is not loaded`,
      { context: { action } },
    );
  }
}

/** Thrown when a plan's data is wrong: an unknown name in `outputOf`, a plan that plans itself for ever. */
export class InvalidPlanError extends DynflowError {
  constructor(message: string) {
    super('DYN_INVALID_PLAN', message);
  }
}

/** An action that plans itself, directly or by others, would never end; no sane plan is this deep. */
const MAX_DEPTH = 100;

const NONE: readonly PlannedAction[] = [];

/** An action on the way down to the one that is being expanded. */
interface Ancestor {
  readonly name: string;
  readonly isSubscriber: boolean;
  readonly parent: Ancestor | null;
}

/** One that is not deep may still grow without end, if each action plans several. */
const MAX_ACTIONS = 100_000;

export interface Expansion {
  readonly root: PlannedAction;
  /** Plan methods still to be asked for; the tree is complete when there is none. */
  readonly asked: AskedPlan[];
}

/**
 * Turns a trigger into the whole tree of planned actions. Pure: what has to be asked of an executor is listed in `asked`, and the
 * expansion is done again with the answers.
 *
 * An action brings its subscribers along: each once, with the input that it was planned with; they call it `trigger` in `outputOf`.
 *
 * @throws UnknownActionError, InvalidPlanError
 */
export function expandPlan(
  action: string,
  input: JsonObject,
  catalogue: Pick<ActionCatalogue, 'declarationOf' | 'subscribersOf'>,
  answers: ReadonlyMap<string, PlanAnswer> = new Map(),
): Expansion {
  const asked: AskedPlan[] = [];
  let count = 0;

  const expand = (
    name: string,
    givenInput: PlanningValue,
    depth: number,
    key: string,
    parent: Ancestor | null,
    trigger: PlannedAction | null,
  ): PlannedAction => {
    const declaration = catalogue.declarationOf(name);
    if (declaration === undefined) {
      throw new UnknownActionError(name);
    }
    if (depth > MAX_DEPTH) {
      throw tooDeep(action, { name, isSubscriber: trigger !== null, parent });
    }
    count += 1;
    if (count > MAX_ACTIONS) {
      throw new InvalidPlanError(`the plan of "${action}" has more than ${MAX_ACTIONS} actions`);
    }
    const changed = declaration.plan.kind === 'asked' ? answers.get(key)?.input : undefined;
    const planningInput = changed === undefined ? givenInput : withPendingOutputs(changed, givenInput);
    const planned: PlannedAction = { declaration, planningInput, selfInput: null, body: [], subscribers: NONE };
    const ancestor: Ancestor = { name, isSubscriber: trigger !== null, parent };
    const nodes = nodesOf(declaration, planningInput, key);
    if (nodes !== null) {
      const names = new Map([['self', planned]]);
      if (trigger !== null) {
        names.set('trigger', trigger);
      }
      fill(planned, nodes, planned.body, names, depth, key, ancestor);
    }
    const subscribers = catalogue.subscribersOf(name);
    if (subscribers.length > 0) {
      planned.subscribers = subscribers.map((each) => expand(each, planningInput, depth + 1, `${key}+${each}`, ancestor, planned));
    }
    return planned;
  };

  const nodesOf = (declaration: ActionDeclaration, planningInput: PlanningValue, key: string): readonly PlanNode[] | null => {
    switch (declaration.plan.kind) {
      case 'self':
        return [{ kind: 'self' }];
      case 'data':
        return declaration.plan.nodes;
      case 'asked': {
        const answer = answers.get(key);
        if (answer === undefined) {
          asked.push({ key, declaration, input: withoutPendingOutputs(planningInput) });
          return null;
        }
        return answer.nodes;
      }
    }
  };

  const fill = (
    planned: PlannedAction,
    nodes: readonly PlanNode[],
    into: PlannedNode[],
    names: Map<string, PlannedAction>,
    depth: number,
    key: string,
    ancestor: Ancestor,
  ): void => {
    for (const [index, node] of nodes.entries()) {
      switch (node.kind) {
        case 'self':
          planned.selfInput = node.input === undefined ? planned.planningInput : fillIn(node.input, planned.planningInput, names);
          into.push({ kind: 'self' });
          break;
        case 'action': {
          if (node.when !== undefined && valueAt(planned.planningInput, node.when) === null) {
            break;
          }
          const childInput = fillIn(node.input, planned.planningInput, names);
          const child = expand(node.action, childInput, depth + 1, `${key}/${index}`, ancestor, null);
          if (node.as !== undefined) {
            names.set(node.as, child);
          }
          into.push({ kind: 'action', planned: child });
          break;
        }
        case 'sequence':
        case 'concurrence': {
          const nested: PlannedNode[] = [];
          fill(planned, node.nodes, nested, names, depth, `${key}/${index}`, ancestor);
          into.push({ kind: node.kind, nodes: nested });
          break;
        }
      }
    }
  };

  const root = expand(action, input, 0, '', null, null);
  return { root, asked };
}

/** Names those who plan each other: the way from the deepest action up to its namesake. */
function tooDeep(action: string, deepest: Ancestor): InvalidPlanError {
  const circle = [deepest.name];
  let hasSubscriber = deepest.isSubscriber;
  for (let each = deepest.parent; each !== null; each = each.parent) {
    circle.unshift(each.name);
    hasSubscriber ||= each.isSubscriber;
    if (each.name === deepest.name) {
      break;
    }
  }
  const question = hasSubscriber ? 'do actions subscribe to each other in a circle?' : 'does an action plan itself?';
  return new InvalidPlanError(`the plan of "${action}" is more than ${MAX_DEPTH} actions deep: ${question} (${circle.join(' → ')})`);
}

/** Replaces the placeholders of a template; what they bring in is taken as it is. */
function fillIn(template: JsonValue, input: PlanningValue, names: ReadonlyMap<string, PlannedAction>): PlanningValue {
  if (Array.isArray(template)) {
    return template.map((item) => fillIn(item, input, names));
  }
  if (!isJsonObject(template)) {
    return template;
  }
  if (Array.isArray(template['$input'])) {
    return valueAt(input, template['$input'].map(String));
  }
  if (Array.isArray(template['$omit'])) {
    const omitted = new Set(template['$omit'].map(String));
    return isPlanningObject(input) ? Object.fromEntries(Object.entries(input).filter(([key]) => !omitted.has(key))) : {};
  }
  if (typeof template['$output'] === 'string') {
    const of = names.get(template['$output']);
    if (of === undefined) {
      throw new InvalidPlanError(`the plan refers to the output of "${template['$output']}", which nothing before it is named`);
    }
    return new PendingOutput(of, Array.isArray(template['path']) ? template['path'].map(String) : []);
  }
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillIn(value, input, names)]));
}

function valueAt(value: PlanningValue, path: readonly string[]): PlanningValue {
  let current: PlanningValue = value;
  for (const key of path) {
    if (current instanceof PendingOutput) {
      current = new PendingOutput(current.of, [...current.subkeys, key]);
    } else if (isPlanningObject(current) && Object.hasOwn(current, key)) {
      current = current[key] ?? null;
    } else {
      return null;
    }
  }
  return current;
}

export function isPlanningObject(value: PlanningValue): value is { [key: string]: PlanningValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof PendingOutput);
}

/** A plan method is pure and sees only what exists when it is asked: pending outputs look to it like null. */
function withoutPendingOutputs(value: PlanningValue): JsonObject {
  return JSON.parse(JSON.stringify(value, (_, item: unknown) => (item instanceof PendingOutput ? null : item))) as JsonObject;
}

/** An input that comes back from an executor: what stood for a pending output there, and still does, is that output again. */
function withPendingOutputs(changed: JsonValue, given: PlanningValue): PlanningValue {
  if (given instanceof PendingOutput) {
    return changed === null ? given : changed;
  }
  if (Array.isArray(changed)) {
    return Array.isArray(given) ? changed.map((item, index) => withPendingOutputs(item, given[index] ?? null)) : changed;
  }
  if (!isJsonObject(changed) || !isPlanningObject(given)) {
    return changed;
  }
  return Object.fromEntries(Object.entries(changed).map(([key, value]) => [key, withPendingOutputs(value, given[key] ?? null)]));
}
