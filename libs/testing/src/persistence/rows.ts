import type { ActionRow, Changes, ChunkRow, PlanRow, StepRow } from '@dynflow/engine';
import { randomUUID } from 'node:crypto';

/** A moment with a fraction of a millisecond: what clocks give, and what databases like to round. */
export const MOMENT = 1_795_351_188_303.2517;

export function planRow(row: Partial<PlanRow> = {}): PlanRow {
  return {
    id: randomUUID(),
    shard: 0,
    label: 'example.Job',
    state: 'running',
    result: 'pending',
    runFlow: ['S', 2, ['C', 4, 6]],
    finalizeFlow: ['S'],
    phase: 'run',
    stepCount: 1,
    history: [],
    createdAtMs: MOMENT,
    startedAtMs: MOMENT,
    endedAtMs: null,
    executionTimeMs: 0,
    callerPlan: null,
    callerAction: null,
    isExternal: false,
    concurrencyLimit: null,
    priority: 0,
    attributes: {},
    idempotencyKey: null,
    schedule: null,
    heldBecause: null,
    isHalted: false,
    waitingFor: null,
    isCancelRequested: false,
    sealedSecrets: null,
    request: null,
    ...row,
  };
}

export function actionRow(plan: string, row: Partial<ActionRow> = {}): ActionRow {
  return {
    plan,
    id: 1,
    name: 'example.Job',
    version: 1,
    planStep: 1,
    runStep: null,
    finalizeStep: null,
    callerPlan: null,
    callerAction: null,
    input: {},
    references: [],
    output: {},
    chunksAs: null,
    progressWeights: { run: 1, finalize: 1 },
    ...row,
  };
}

export function stepRow(plan: string, row: Partial<StepRow> = {}): StepRow {
  return {
    plan,
    id: 1,
    kind: 'run',
    action: 1,
    queue: 'default',
    state: 'pending',
    attempt: 1,
    executor: null,
    waitingFor: null,
    wakeAtMs: null,
    progress: 0,
    retries: 0,
    error: null,
    startedAtMs: null,
    endedAtMs: null,
    executionTimeMs: 0,
    detail: {},
    ...row,
  };
}

export function chunkRow(plan: string, row: Partial<ChunkRow> = {}): ChunkRow {
  return { plan, action: 1, seq: 1, kind: 'stdout', timestampMs: MOMENT, text: 'hello\n', ...row };
}

/** What a turn changed, the rest empty. */
export function changes(some: Partial<Changes>): Changes {
  return { newPlans: [], newActions: [], newSteps: [], plans: [], actions: [], steps: [], chunks: [], ...some };
}

/** A plan with one action and one run step, as one turn makes it. */
export function smallPlan(row: Partial<PlanRow> = {}): { readonly id: string; readonly changes: Changes } {
  const plan = planRow(row);
  return {
    id: plan.id,
    changes: changes({
      newPlans: [plan],
      newActions: [actionRow(plan.id, { runStep: 1, chunksAs: 'result' })],
      newSteps: [stepRow(plan.id)],
    }),
  };
}
