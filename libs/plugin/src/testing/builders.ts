import type { ActionView, LocalEvent, LocalInvocation, LocalResult, PlanEvent, PlanView, StepView } from '@dynflow/contracts';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { GatewayStacks } from '../gateway-middleware.js';
import type { Plugin } from '../plugin.js';
import { runLocalAction } from '../runners/local-run.js';

const PLAN = '00000000-0000-4000-8000-000000000001';
/** 2026-01-01, where manual clocks begin. */
const START_MS = Date.UTC(2026, 0, 1);

/** An action of a view to be made: its full name, and whatever else matters. */
export interface ActionViewParts {
  name: string;
  input?: JsonObject;
  output?: JsonObject;
  /** State of its run step; null: it has none. Default `success`. */
  state?: string | null;
}

/** A view of a plan with these actions, as readers get it: for code that looks at plans. Everything else can be given in `more`. */
export function makePlanView(actions: readonly ActionViewParts[], more: Partial<PlanView> = {}): PlanView {
  const steps: StepView[] = [];
  const addStep = (kind: StepView['kind'], action: number, state: string): number => {
    const isOver = state === 'success' || state === 'skipped';
    steps.push({
      id: steps.length + 1,
      kind,
      state,
      action,
      error: null,
      startedAtMs: state === 'pending' ? null : START_MS,
      endedAtMs: isOver ? START_MS : null,
      executionTimeMs: 0,
      waitingFor: state === 'suspended' ? 'an event' : null,
      progress: isOver ? 1 : state === 'pending' ? 0 : 0.5,
      retries: 0,
    });
    return steps.length;
  };
  const views = actions.map(({ name, input = {}, output = {}, state = 'success' }, index): ActionView => ({
    id: index + 1,
    name,
    planStepId: addStep('plan', index + 1, 'success'),
    runStepId: state === null ? null : addStep('run', index + 1, state),
    finalizeStepId: null,
    callerPlan: null,
    callerAction: index === 0 ? null : 1,
    input,
    output,
  }));
  const runSteps = steps.filter(({ kind }) => kind === 'run');
  const isOver = runSteps.every(({ progress }) => progress === 1);
  return {
    id: PLAN,
    label: actions[0]?.name ?? 'a plan',
    state: isOver ? 'stopped' : 'running',
    result: isOver ? 'success' : 'pending',
    rootPlanStepId: 1,
    runFlow: ['S', ...runSteps.map(({ id }) => id)],
    finalizeFlow: ['S'],
    stepIds: steps.map(({ id }) => id),
    startedAtMs: START_MS,
    endedAtMs: isOver ? START_MS : null,
    executionTimeMs: 0,
    realTimeMs: 0,
    history: [],
    callerPlan: null,
    callerAction: null,
    priority: 0,
    attributes: {},
    schedule: null,
    waitingFor: null,
    progress: isOver ? 1 : 0.5,
    fault: null,
    actions: views,
    steps,
    ...more,
  };
}

/** An event as a hook gets it. */
export function makePlanEvent(kind: PlanEvent['kind'], action: string, more: Partial<PlanEvent> = {}): PlanEvent {
  const isEnd = kind === 'success' || kind === 'failure';
  return {
    kind,
    plan: PLAN,
    label: action,
    state: isEnd ? 'stopped' : kind,
    result: kind === 'success' ? 'success' : kind === 'failure' ? 'error' : 'pending',
    callerPlan: null,
    action: { id: 1, name: action },
    isRootAction: true,
    ...more,
  };
}

/** What a local action is invoked with. */
export interface LocalRunOptions {
  input: JsonObject;
  output?: JsonObject;
  checkpoint?: JsonValue;
  event?: LocalEvent;
  /** Anything else of the invocation. */
  more?: Partial<LocalInvocation>;
}

/**
 * Invokes a local action of a plugin by its short name once, as the gateway would, with the plugin's middleware around it.
 *
 * @returns its outcome and what it asked for.
 * @throws what would end the step in error.
 */
export function runLocal(plugin: Plugin, actionName: string, options: LocalRunOptions): LocalResult {
  const action = plugin.gateway?.actions?.find(({ name }) => name === actionName);
  if (action?.run === undefined) {
    throw new Error(`${plugin.name} has no local action "${actionName}" that runs`);
  }
  const name = `${plugin.name}.${actionName}`;
  const invocation = {
    plan: PLAN,
    step: 2,
    attempt: 1,
    nowMs: START_MS,
    input: options.input,
    output: options.output ?? action.initialOutput ?? {},
    checkpoint: options.checkpoint,
    sealedSecrets: undefined,
    subPlans: undefined,
    event: options.event,
    ...options.more,
  } satisfies LocalInvocation;
  return runLocalAction({ name, run: action.run, input: action.input }, invocation, new GatewayStacks([plugin]).aroundRun(name));
}
