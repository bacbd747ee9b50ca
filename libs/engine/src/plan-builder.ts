import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { pluginOf, type ActionDeclaration, type Schedule, type StepErrorV1 } from '@dynflow/contracts';
import type { Flow } from './flow.js';
import { FlowBuilder } from './flow-builder.js';
import type { Action, OutputReference, Plan, PlanRequest, Step } from './model.js';
import {
  InvalidPlanError,
  PendingOutput,
  isPlanningObject,
  type PlannedAction,
  type PlannedNode,
  type PlanningValue,
} from './plan-expansion.js';
import { emptyTally, type StepKind } from './states.js';

/** Everything about a new plan that is not in its tree. */
export interface PlanHeader {
  readonly id: string;
  readonly shard: number;
  readonly label: string;
  readonly callerPlan: string | null;
  readonly callerAction: number | null;
  readonly isExternal: boolean;
  readonly concurrencyLimit: number | null;
  readonly sealedSecrets: string | null;
  readonly priority: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly idempotencyKey: string | null;
  readonly schedule: Schedule | null;
  readonly heldBecause: string | null;
  /** Of the launch, if it has an idempotency key. */
  readonly fingerprint: string | null;
  readonly nowMs: number;
  /** The plan before it was planned, whose place it takes. */
  readonly stub?: Plan;
}

/** What the ways to make a plan differ in. */
type PlanParts = Pick<Plan, 'state' | 'request' | 'startedAtMs' | 'steps' | 'actions' | 'runFlow' | 'finalizeFlow' | 'tally'>;

/** A plan with all its fields, spelled out: see `newStep` for why. */
function newPlan(header: PlanHeader, parts: PlanParts): Plan {
  const { stub } = header;
  return {
    id: header.id,
    shard: header.shard,
    label: header.label,
    state: parts.state,
    callerPlan: header.callerPlan,
    callerAction: header.callerAction,
    request: parts.request,
    isExternal: header.isExternal,
    concurrencyLimit: header.concurrencyLimit,
    priority: header.priority,
    attributes: header.attributes,
    idempotencyKey: header.idempotencyKey,
    schedule: header.schedule,
    waitsFor: null,
    heldBecause: header.heldBecause,
    isHalted: false,
    sealedSecrets: header.sealedSecrets,
    isCancelRequested: stub?.isCancelRequested ?? false,
    steps: parts.steps,
    actions: parts.actions,
    runFlow: parts.runFlow,
    finalizeFlow: parts.finalizeFlow,
    tally: parts.tally,
    history: stub?.history ?? [],
    createdAtMs: stub?.createdAtMs ?? header.nowMs,
    startedAtMs: stub === undefined ? parts.startedAtMs : stub.startedAtMs,
    endedAtMs: null,
    cursor: null,
    phase: 'run',
  };
}

/**
 * Makes the plan of a complete tree: ids in planning order (two counters, actions and steps), the flows, the references. All plan steps
 * are over, run and finalize steps pending; the plan itself is `planned`.
 *
 * @throws InvalidPlanError, UnresolvedDependencyError
 */
export function buildPlan(header: PlanHeader, root: PlannedAction): Plan {
  const steps: Step[] = [];
  const actions: Action[] = [];
  const finalizeSteps: number[] = [];
  const numbers = new Map<PlannedAction, { action: number; runStep: number | null }>();
  const flow = new FlowBuilder();
  const tally = emptyTally();

  const addStep = (kind: StepKind, action: number, queue: string, nowMs: number): number => {
    steps.push(newStep({ id: steps.length + 1, kind, action, queue, nowMs }));
    tally[kind === 'plan' ? 'success' : 'pending'] += 1;
    return steps.length;
  };

  const visit = (planned: PlannedAction, callerAction: number | null, callers: { plugin: string; queue: string } | null): void => {
    const id = actions.length + 1;
    const { declaration } = planned;
    const plugin = pluginOf(declaration.name);
    const queue = declaration.queue ?? (callers?.plugin === plugin ? callers.queue : 'default');
    const planStep = addStep('plan', id, queue, header.nowMs);
    // The place is taken now, since ids count in planning order; the rest is known after the body.
    const place: { action: number; runStep: number | null } = { action: id, runStep: null };
    numbers.set(planned, place);
    actions.push(undefined as unknown as Action);
    let finalizeStep: number | null = null;
    let references: OutputReference[] = [];
    let input: JsonObject = {};
    const addSelf = (): void => {
      if (place.runStep !== null || finalizeStep !== null) {
        throw new InvalidPlanError(`the action "${declaration.name}" plans itself twice`);
      }
      ({ input, references } = resolveInput(planned.selfInput ?? {}, header.id, numbers));
      if (declaration.run) {
        place.runStep = addStep('run', id, queue, header.nowMs);
        flow.addStep(
          place.runStep,
          references.map((reference) => reference.step),
        );
      }
      if (declaration.finalize.kind !== 'none') {
        finalizeStep = addStep('finalize', id, queue, header.nowMs);
        finalizeSteps.push(finalizeStep);
      }
    };

    const visitNodes = (nodes: readonly PlannedNode[]): void => {
      for (const node of nodes) {
        switch (node.kind) {
          case 'self':
            addSelf();
            break;
          case 'action':
            visit(node.planned, id, { plugin, queue });
            break;
          case 'sequence':
          case 'concurrence':
            flow.nest(node.kind, () => visitNodes(node.nodes));
            break;
        }
      }
    };

    if (planned.subscribers.length === 0) {
      flow.nest('concurrence', () => visitNodes(planned.body));
    } else {
      flow.nest('concurrence', () => {
        flow.nest('concurrence', () => visitNodes(planned.body));
        planned.subscribers.forEach((subscriber) => visit(subscriber, id, { plugin, queue }));
      });
    }
    actions[id - 1] = {
      id,
      declaration,
      planStep,
      runStep: place.runStep,
      finalizeStep,
      callerAction,
      input,
      references,
      output: place.runStep === null ? {} : { ...declaration.initialOutput },
    };
  };

  visit(root, null, null);
  const finalizeFlow: Flow = { kind: 'sequence', flows: finalizeSteps.map((step) => ({ kind: 'atom', step })) };
  return newPlan(header, {
    state: 'planned',
    request: keptRequest(header, root.declaration.name),
    startedAtMs: header.nowMs,
    steps,
    actions,
    runFlow: flow.build(),
    finalizeFlow,
    tally,
  });
}

/**
 * The shape in which a reference is shown in an input, Dynflow's. It is only for reading: what is resolved is the recorded
 * {@link OutputReference}, so that nobody can smuggle one in by an input that looks like it.
 */
function referenceView(plan: string, step: number, action: number, subkeys: readonly string[]): JsonObject {
  return {
    class: 'Dynflow::ExecutionPlan::OutputReference',
    execution_plan_id: plan,
    step_id: step,
    action_id: action,
    subkeys: [...subkeys],
  };
}

function resolveInput(
  value: PlanningValue,
  plan: string,
  numbers: ReadonlyMap<PlannedAction, { action: number; runStep: number | null }>,
): { input: JsonObject; references: OutputReference[] } {
  const references: OutputReference[] = [];
  const walk = (item: PlanningValue, at: readonly string[]): JsonValue => {
    if (item instanceof PendingOutput) {
      const target = numbers.get(item.of);
      if (target === undefined || target.runStep === null) {
        throw new InvalidPlanError(`the plan refers to the output of "${item.of.declaration.name}", which has no run step before it`);
      }
      references.push({ at, step: target.runStep, action: target.action, subkeys: item.subkeys });
      return referenceView(plan, target.runStep, target.action, item.subkeys);
    }
    if (Array.isArray(item)) {
      return item.map((element, index) => walk(element, [...at, String(index)]));
    }
    if (isPlanningObject(item)) {
      return Object.fromEntries(Object.entries(item).map(([key, element]) => [key, walk(element, [...at, key])]));
    }
    return item;
  };
  if (!isPlanningObject(value)) {
    throw new InvalidPlanError('the input of an action must be an object');
  }
  return { input: walk(value, []) as JsonObject, references };
}

const EMPTY_FLOW: Flow = { kind: 'sequence', flows: [] };

/** What is kept of a request when its plan has been planned: enough to know the same launch again. */
function keptRequest({ fingerprint }: PlanHeader, action: string): PlanRequest | null {
  return fingerprint === null ? null : { action, input: {}, fingerprint };
}

/** A plan before it is planned: its moment has to come first, or an executor has to say what its steps are. It has one action, one step. */
export function buildUnplanned(
  header: PlanHeader,
  state: 'scheduled' | 'planning',
  declaration: ActionDeclaration,
  request: PlanRequest,
): Plan {
  const isScheduled = state === 'scheduled';
  return newPlan(header, {
    ...rootOnly(declaration, request.input, header.nowMs, isScheduled ? { name: 'pending' } : { name: 'running', claim: null }),
    state,
    request: header.fingerprint === null ? request : { ...request, fingerprint: header.fingerprint },
    startedAtMs: isScheduled ? null : header.nowMs,
    runFlow: EMPTY_FLOW,
    finalizeFlow: EMPTY_FLOW,
  });
}

/** The root action with nothing but its plan step, in this state. */
function rootOnly(
  declaration: ActionDeclaration,
  input: JsonObject,
  nowMs: number,
  state: Step['state'],
): Pick<Plan, 'actions' | 'steps' | 'tally'> {
  const tally = emptyTally();
  tally[state.name] = 1;
  const isRunning = state.name === 'running';
  const step: Step = {
    ...newStep({ id: 1, kind: 'plan', action: 1, queue: declaration.queue ?? 'default', nowMs }),
    state,
    startedAtMs: state.name === 'pending' ? null : nowMs,
    endedAtMs: state.name === 'error' ? nowMs : null,
    invokedAtMs: isRunning ? nowMs : null,
    progress: 0,
  };
  const action: Action = {
    id: 1,
    declaration,
    planStep: 1,
    runStep: null,
    finalizeStep: null,
    callerAction: null,
    input,
    references: [],
    output: {},
  };
  return { actions: [action], steps: [step], tally };
}

/** A plan whose planning failed: one action, its plan step in error, nothing to run. It is `stopped`. */
export function buildFailedPlan(header: PlanHeader, declaration: ActionDeclaration, input: JsonObject, error: StepErrorV1): Plan {
  const plan = newPlan(header, {
    ...rootOnly(declaration, input, header.nowMs, { name: 'error', error, isRetrying: false }),
    state: 'stopped',
    request: keptRequest(header, declaration.name),
    startedAtMs: header.nowMs,
    runFlow: EMPTY_FLOW,
    finalizeFlow: EMPTY_FLOW,
  });
  plan.sealedSecrets = null;
  plan.endedAtMs = header.nowMs;
  return plan;
}

function newStep(options: { id: number; kind: StepKind; action: number; queue: string; nowMs: number }): Step {
  const { id, kind, action, queue, nowMs } = options;
  const isOver = kind === 'plan';
  // Spelled out: a rest or spread here makes objects that are ten times as slow to make and to use.
  return {
    id,
    kind,
    action,
    queue,
    state: isOver ? { name: 'success' } : { name: 'pending' },
    attempt: 1,
    checkpoint: undefined,
    events: [],
    plannedEvents: [],
    settledSubPlans: null,
    askedSubPlans: null,
    startedAtMs: isOver ? nowMs : null,
    endedAtMs: isOver ? nowMs : null,
    executionTimeMs: 0,
    invokedAtMs: null,
    isCancelRequested: false,
    isCancelForced: false,
    isReady: false,
    nextSeq: 1,
    outputBytes: 0,
    progress: isOver ? 1 : 0,
    pastAttempts: [],
    retries: 0,
    readyAtMs: null,
    runSinceMs: null,
    losses: 0,
    overLimit: null,
    waitsFor: null,
  };
}
