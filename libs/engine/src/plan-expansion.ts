import { DynflowError, isJsonObject, type JsonObject, type JsonValue } from '@dynflow/kernel';
import type { ActionDeclaration, PlanNode } from '@dynflow/contracts';

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
 * @throws UnknownActionError, InvalidPlanError
 */
export function expandPlan(
  action: string,
  input: JsonObject,
  declarationOf: (action: string) => ActionDeclaration | undefined,
  answers: ReadonlyMap<string, PlanNode[]> = new Map(),
): Expansion {
  const asked: AskedPlan[] = [];
  let count = 0;

  const expand = (name: string, planningInput: PlanningValue, depth: number, key: string): PlannedAction => {
    const declaration = declarationOf(name);
    if (declaration === undefined) {
      throw new UnknownActionError(name);
    }
    if (depth > MAX_DEPTH) {
      throw new InvalidPlanError(`the plan of "${action}" is more than ${MAX_DEPTH} actions deep: does an action plan itself?`);
    }
    count += 1;
    if (count > MAX_ACTIONS) {
      throw new InvalidPlanError(`the plan of "${action}" has more than ${MAX_ACTIONS} actions`);
    }
    const planned: PlannedAction = { declaration, planningInput, selfInput: null, body: [] };
    const nodes = nodesOf(declaration, planningInput, key);
    if (nodes !== null) {
      fill(planned, nodes, planned.body, new Map([['self', planned]]), depth, key);
    }
    return planned;
  };

  const nodesOf = (declaration: ActionDeclaration, planningInput: PlanningValue, key: string): PlanNode[] | null => {
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
        return answer;
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
          const child = expand(node.action, fillIn(node.input, planned.planningInput, names), depth + 1, `${key}/${index}`);
          if (node.as !== undefined) {
            names.set(node.as, child);
          }
          into.push({ kind: 'action', planned: child });
          break;
        }
        case 'sequence':
        case 'concurrence': {
          const nested: PlannedNode[] = [];
          fill(planned, node.nodes, nested, names, depth, `${key}/${index}`);
          into.push({ kind: node.kind, nodes: nested });
          break;
        }
      }
    }
  };

  const root = expand(action, input, 0, '');
  return { root, asked };
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
