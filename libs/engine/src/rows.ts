import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { ActionDeclaration, OutputChunkV1, Schedule, StepErrorV1 } from '@dynflow/contracts';
import { FlowCursor } from './flow-cursor.js';
import { decodeFlow, encodeFlow } from './flow.js';
import { assertConsistent } from './inconsistent-plan.js';
import {
  actionOf,
  planResult,
  type Action,
  type AskedSubPlans,
  type Claim,
  type HistoryEntry,
  type OutputReference,
  type PastAttempt,
  type Plan,
  type PlanRequest,
  type PlannedEvent,
  type SettledSubPlans,
  type Step,
  type StepState,
  type StoredEvent,
} from './model.js';
import { progressOfStep } from './progress.js';
import { emptyTally, type PlanResult, type PlanState, type StepKind, type StepStateName } from './states.js';

/*
 * Plans as a database holds them: flat rows of JSON-friendly values. The store writes columns; what they mean stays here.
 */

export interface PlanRow {
  id: string;
  shard: number;
  label: string;
  state: PlanState;
  result: PlanResult;
  runFlow: JsonValue;
  finalizeFlow: JsonValue;
  phase: 'run' | 'finalize';
  stepCount: number;
  history: HistoryEntry[];
  createdAtMs: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  callerPlan: string | null;
  callerAction: number | null;
  isExternal: boolean;
  concurrencyLimit: number | null;
  priority: number;
  attributes: Readonly<Record<string, string>>;
  idempotencyKey: string | null;
  schedule: Schedule | null;
  heldBecause: string | null;
  isHalted: boolean;
  /** Why nothing of it is begun at the moment; null where its steps say it. */
  waitingFor: string | null;
  isCancelRequested: boolean;
  sealedSecrets: string | null;
  /** What was asked for, while the plan is scheduled or in planning; null afterwards. */
  request: PlanRequest | null;
}

export interface ActionRow {
  plan: string;
  id: number;
  name: string;
  version: number;
  planStep: number;
  runStep: number | null;
  finalizeStep: number | null;
  /** Set in the root action of a sub-plan: the plan that asked for it. */
  callerPlan: string | null;
  callerAction: number | null;
  input: JsonObject;
  references: readonly OutputReference[];
  output: JsonObject;
  /** Copied from the declaration, so that a plan can be read without its plugin. */
  chunksAs: string | null;
  /** How much its phases count in the plan's progress; copied as well. */
  progressWeights: ActionDeclaration['progressWeights'];
}

export interface StepRow {
  plan: string;
  id: number;
  kind: StepKind;
  action: number;
  queue: string;
  state: StepStateName;
  attempt: number;
  /** Who holds it; null unless running. */
  executor: string | null;
  waitingFor: string | null;
  wakeAtMs: number | null;
  progress: number;
  retries: number;
  error: StepErrorV1 | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  executionTimeMs: number;
  detail: StepDetail;
}

/** What only the engine reads of a step. */
export interface StepDetail {
  claim?: Claim;
  checkpoint?: JsonValue;
  /** Each an id and data. */
  events?: JsonValue[];
  /** `id`, `data`, `atMs` each. */
  plannedEvents?: JsonValue[];
  /** Records of older releases have `success` and `failed` only. */
  subPlans?: Partial<SettledSubPlans>;
  askedSubPlans?: JsonValue;
  isDue?: boolean;
  isRetrying?: boolean;
  isCancelRequested?: boolean;
  isCancelForced?: boolean;
  nextSeq?: number;
  outputBytes?: number;
  invokedAtMs?: number;
  readyAtMs?: number;
  runSinceMs?: number;
  losses?: number;
  overLimit?: string;
  isRetry?: boolean;
  pastAttempts?: readonly PastAttempt[];
}

export interface ChunkRow extends OutputChunkV1 {
  plan: string;
  action: number;
}

export interface StoredPlan {
  plan: PlanRow;
  actions: ActionRow[];
  steps: StepRow[];
  /** Some of it could not be read, in words: it must not be run. */
  readonly fault?: string;
}

export function planRow(plan: Plan): PlanRow {
  let executionTimeMs = 0;
  for (const step of plan.state === 'stopped' || plan.state === 'paused' ? plan.steps : []) {
    executionTimeMs += step.executionTimeMs;
  }
  return {
    id: plan.id,
    shard: plan.shard,
    label: plan.label,
    state: plan.state,
    result: planResult(plan),
    runFlow: encodeFlow(plan.runFlow),
    finalizeFlow: encodeFlow(plan.finalizeFlow),
    phase: plan.phase,
    stepCount: plan.steps.length,
    history: plan.history,
    createdAtMs: plan.createdAtMs,
    startedAtMs: plan.startedAtMs,
    endedAtMs: plan.endedAtMs,
    executionTimeMs,
    callerPlan: plan.callerPlan,
    callerAction: plan.callerAction,
    isExternal: plan.isExternal,
    concurrencyLimit: plan.concurrencyLimit,
    priority: plan.priority,
    attributes: plan.attributes,
    idempotencyKey: plan.idempotencyKey,
    schedule: plan.schedule,
    heldBecause: plan.heldBecause,
    isHalted: plan.isHalted,
    waitingFor: planWaitingFor(plan),
    isCancelRequested: plan.isCancelRequested,
    sealedSecrets: plan.sealedSecrets,
    request: plan.request,
  };
}

export function actionRow(plan: Plan, action: Action): ActionRow {
  const isRoot = action.callerAction === null;
  return {
    plan: plan.id,
    id: action.id,
    name: action.declaration.name,
    version: action.declaration.version,
    planStep: action.planStep,
    runStep: action.runStep,
    finalizeStep: action.finalizeStep,
    callerPlan: isRoot ? plan.callerPlan : null,
    callerAction: isRoot ? plan.callerAction : action.callerAction,
    input: action.input,
    references: action.references,
    output: action.output,
    chunksAs: action.declaration.chunksAs ?? null,
    progressWeights: action.declaration.progressWeights,
  };
}

export function stepRow(plan: Plan, step: Step): StepRow {
  const { state } = step;
  const detail: StepDetail = {};
  if (state.name === 'running' && state.claim !== null) {
    detail.claim = state.claim;
  }
  if (step.checkpoint !== undefined) {
    detail.checkpoint = step.checkpoint;
  }
  if (step.events.length > 0) {
    detail.events = step.events.map(({ id, data }) => ({ id, data }));
  }
  if (state.name === 'suspended' && state.isDue) {
    detail.isDue = true;
  }
  if (state.name === 'suspended' && state.isRetry === true) {
    detail.isRetry = true;
  }
  if (state.name === 'error' && state.isRetrying) {
    detail.isRetrying = true;
  }
  if (step.isCancelRequested) {
    detail.isCancelRequested = true;
  }
  if (step.isCancelForced) {
    detail.isCancelForced = true;
  }
  if (step.plannedEvents.length > 0) {
    detail.plannedEvents = step.plannedEvents.map(({ id, data, atMs }) => ({ id, data, atMs }));
  }
  if (step.settledSubPlans !== null) {
    detail.subPlans = step.settledSubPlans;
  }
  if (step.askedSubPlans !== null) {
    detail.askedSubPlans = step.askedSubPlans as unknown as JsonValue;
  }
  if (step.nextSeq > 1) {
    detail.nextSeq = step.nextSeq;
    detail.outputBytes = step.outputBytes;
  }
  if (step.invokedAtMs !== null) {
    detail.invokedAtMs = step.invokedAtMs;
  }
  if (step.isReady && step.readyAtMs !== null) {
    detail.readyAtMs = step.readyAtMs;
  }
  if (step.runSinceMs !== null && step.endedAtMs === null && actionOf(plan, step.action).declaration.timeLimits.runMs !== undefined) {
    detail.runSinceMs = step.runSinceMs;
  }
  if (step.losses > 0) {
    detail.losses = step.losses;
  }
  if (step.overLimit !== null) {
    detail.overLimit = step.overLimit;
  }
  if (step.pastAttempts.length > 0) {
    detail.pastAttempts = step.pastAttempts;
  }
  return {
    plan: plan.id,
    id: step.id,
    kind: step.kind,
    action: step.action,
    queue: step.queue,
    state: state.name,
    attempt: step.attempt,
    executor: state.name === 'running' ? (state.claim?.executor ?? null) : null,
    waitingFor: waitingFor(plan, step),
    wakeAtMs: state.name === 'suspended' ? state.wakeAtMs : null,
    progress: progressOfStep(state.name, step.progress),
    retries: step.retries,
    error: state.name === 'error' ? state.error : null,
    startedAtMs: step.startedAtMs,
    endedAtMs: step.endedAtMs,
    executionTimeMs: step.executionTimeMs,
    detail,
  };
}

/** What keeps a plan as a whole from going on. */
function planWaitingFor(plan: Plan): string | null {
  if (plan.heldBecause !== null && plan.state !== 'stopped') {
    return `operator: ${plan.heldBecause}`;
  }
  if (plan.state === 'planned' && plan.concurrencyLimit !== null) {
    const { concurrencyLimit: most } = plan;
    return most === 0 ? 'its caller to start it' : `a place among the sub-plans of its caller: at most ${most} run at once`;
  }
  return plan.state === 'scheduled' || plan.state === 'planning' ? plan.waitsFor : null;
}

function waitingFor(plan: Plan, step: Step): string | null {
  if (step.waitsFor !== null) {
    return step.waitsFor;
  }
  if (step.isReady) {
    const { name } = actionOf(plan, step.action).declaration;
    return `an executor of ${name.slice(0, name.indexOf('.'))} with a free slot`;
  }
  return step.state.name === 'suspended' ? step.state.waitingFor : null;
}

/**
 * A plan from its rows. `declarationOf` finds actions by name and version; an action that nobody declares any more gets a stand-in
 * that can be shown and never run.
 *
 * @throws InconsistentPlanError
 */
export function planFromRows(stored: StoredPlan, declarationOf: (name: string, version: number) => ActionDeclaration | undefined): Plan {
  assertConsistent(stored);
  const row = stored.plan;
  const tally = emptyTally();
  const steps = stored.steps.map(stepFromRow);
  for (const step of steps) {
    tally[step.state.name] += 1;
  }
  return {
    id: row.id,
    shard: row.shard,
    label: row.label,
    state: row.state,
    request: row.request,
    callerPlan: row.callerPlan,
    callerAction: row.callerAction,
    isExternal: row.isExternal,
    concurrencyLimit: row.concurrencyLimit,
    priority: row.priority,
    attributes: row.attributes,
    idempotencyKey: row.idempotencyKey,
    schedule: row.schedule,
    waitsFor: row.heldBecause === null ? row.waitingFor : null,
    heldBecause: row.heldBecause,
    isHalted: row.isHalted,
    sealedSecrets: row.sealedSecrets,
    isCancelRequested: row.isCancelRequested,
    steps,
    actions: stored.actions.map((action) => ({
      id: action.id,
      declaration:
        declarationOf(action.name, action.version) ??
        missingDeclaration(action.name, action.version, {
          run: action.runStep !== null,
          finalize: action.finalizeStep === null ? { kind: 'none' } : { kind: 'run' },
          ...(action.chunksAs === null ? {} : { chunksAs: action.chunksAs }),
        }),
      planStep: action.planStep,
      runStep: action.runStep,
      finalizeStep: action.finalizeStep,
      callerAction: action.callerPlan === null ? action.callerAction : null,
      input: action.input,
      references: action.references,
      output: action.output,
    })),
    runFlow: decodeFlow(row.runFlow),
    finalizeFlow: decodeFlow(row.finalizeFlow),
    tally,
    history: row.history,
    createdAtMs: row.createdAtMs,
    startedAtMs: row.startedAtMs,
    endedAtMs: row.endedAtMs,
    cursor: null,
    phase: row.phase,
  };
}

/** A cursor that stands where the states of the plan's steps say. */
export function cursorOf(plan: Plan): FlowCursor {
  return new FlowCursor(plan.phase === 'run' ? plan.runFlow : plan.finalizeFlow, (id) => {
    const state = plan.steps[id - 1]?.state;
    if (state?.name === 'success' || state?.name === 'skipped') {
      return 'finished';
    }
    return state?.name === 'error' && !state.isRetrying ? 'failed' : 'open';
  });
}

function stepFromRow(row: StepRow): Step {
  const { detail } = row;
  return {
    id: row.id,
    kind: row.kind,
    action: row.action,
    queue: row.queue,
    state: stateFromRow(row),
    attempt: row.attempt,
    checkpoint: detail.checkpoint,
    events: (detail.events ?? []) as unknown as StoredEvent[],
    plannedEvents: (detail.plannedEvents ?? []) as unknown as PlannedEvent[],
    settledSubPlans: detail.subPlans === undefined ? null : { success: 0, failed: 0, unplanned: 0, cancelled: 0, ...detail.subPlans },
    askedSubPlans: (detail.askedSubPlans ?? null) as unknown as AskedSubPlans | null,
    startedAtMs: row.startedAtMs,
    endedAtMs: row.endedAtMs,
    executionTimeMs: row.executionTimeMs,
    invokedAtMs: detail.invokedAtMs ?? null,
    isCancelRequested: detail.isCancelRequested ?? false,
    isCancelForced: detail.isCancelForced ?? false,
    isReady: false,
    nextSeq: detail.nextSeq ?? 1,
    outputBytes: detail.outputBytes ?? 0,
    progress: row.progress,
    pastAttempts: [...(detail.pastAttempts ?? [])],
    retries: row.retries,
    readyAtMs: detail.readyAtMs ?? null,
    runSinceMs: detail.runSinceMs ?? null,
    losses: detail.losses ?? 0,
    overLimit: detail.overLimit ?? null,
    waitsFor: null,
  };
}

function stateFromRow(row: StepRow): StepState {
  switch (row.state) {
    case 'running':
      return { name: 'running', claim: row.detail.claim ?? null };
    case 'suspended':
      return {
        name: 'suspended',
        waitingFor: row.waitingFor ?? 'an event',
        isDue: row.detail.isDue ?? false,
        wakeAtMs: row.wakeAtMs,
        ...(row.detail.isRetry === true ? { isRetry: true } : {}),
      };
    case 'error':
      return {
        name: 'error',
        error: row.error ?? { errorClass: 'UnknownError', message: 'the error was not recorded', kind: 'final' },
        isRetrying: row.detail.isRetrying ?? false,
      };
    case 'scheduling':
    case 'pending':
    case 'success':
    case 'skipping':
    case 'skipped':
    case 'cancelled':
      return { name: row.state };
  }
}

/** Stands in for an action that nobody declares: it can be shown and recorded, and is never run. */
export function missingDeclaration(
  name: string,
  version: number,
  shape: Pick<ActionDeclaration, 'run' | 'finalize' | 'chunksAs'>,
): ActionDeclaration {
  return {
    name,
    version,
    inputSchema: {},
    secrets: [],
    plan: { kind: 'self' },
    rescueStrategy: 'Pause',
    cancellable: false,
    cancelParked: 'end',
    resumable: false,
    idempotent: false,
    initialOutput: {},
    singleton: false,
    subscribesTo: [],
    delay: 'plain',
    progressWeights: { run: 1, finalize: 1 },
    stateNames: {},
    timeLimits: {},
    limits: [],
    ...shape,
  };
}
