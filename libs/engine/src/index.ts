export { Engine } from './engine.js';
export type { EngineOptions, RestedPlan } from './engine-parts.js';
export type { Refusal, SealedGrant } from './executor-messages.js';
export { FairQueue, type Standing } from './fair-queue.js';
export type { HoldState } from './holds.js';
export { begunTimes, type RecentRun } from './limit-usage.js';
export { decodeFlow, encodeFlow, flatten } from './flow.js';
export type { Flow } from './flow.js';
export { InconsistentPlanError } from './inconsistent-plan.js';
export { IdempotencyConflictError } from './idempotency.js';
export type { HistoryEntry, OutputReference, Plan, PlanAnswer, Step } from './model.js';
export { InvalidPlanError, UnknownActionError } from './plan-expansion.js';
export { planProgress } from './progress.js';
export type { ProgressWeights } from './progress.js';
export type {
  ActionCatalogue,
  Changes,
  ExecutorProcess,
  HoldKeeper,
  LocalRunner,
  Outbox,
  PlanStore,
  PlanVerdict,
  ReadyToken,
  SubPlanTally,
  TurnScheduler,
  PlanHooks,
  PlanPhases,
} from './ports.js';
export { chunkView } from './references.js';
export type { ActionRow, ChunkRow, PlanRow, StepDetail, StepRow, StoredPlan } from './rows.js';
export { IllegalTransitionError, PLAN_TRANSITIONS, STEP_TRANSITIONS, resultOf } from './states.js';
export type { PlanResult, PlanState, StepKind, StepStateName } from './states.js';
export { PlanNotPausedError } from './plan-loader.js';
export { PlanNotScheduledError } from './schedules.js';
export { SingletonActiveError } from './singletons.js';
export type { TriggerInput } from './planner.js';
