export { Json, JsonRecord } from './json.js';
export { ActionName, SubjectToken, pluginOf } from './names.js';
export { PlanNodeSchema } from './manifest/plan-nodes.js';
export type { PlanNode } from './manifest/plan-nodes.js';
export {
  ActionDeclaration,
  FinalizeDeclaration,
  LimitDeclaration,
  PlanDeclaration,
  RescueStrategy,
  RetryPolicy,
  TimeLimits,
  queuesOf,
} from './manifest/action-declaration.js';
export {
  CONTRACTS,
  FeatureDeclaration,
  LauncherKind,
  ManifestAnswerV1,
  ManifestV1,
  OperationDeclaration,
  PluginDeclaration,
  PluginHealth,
  RouteDeclaration,
} from './manifest/v1.js';
export {
  ClaimAnswerV1,
  ClaimRequestV1,
  GrantV1,
  OutcomeV1,
  OutputChunkV1,
  OutputV1,
  PlannedEventV1,
  RefusalV1,
  ReportV1,
  StepErrorV1,
  StepTokenV1,
  SubPlanCountsV1,
  SubPlanV1,
} from './messages/step.js';
export {
  AppliedV1,
  ExecutorMessage,
  HeartbeatAnswerV1,
  HeartbeatV1,
  HttpAnswerV1,
  HttpRequestV1,
  OutputStoredV1,
  PlanAnswerV1,
  PlanRequestV1,
  StepEventV1,
  StoreAnswerV1,
  StoreRequestV1,
  StoredDocument,
} from './messages/executor.js';
export type {
  LocalCommand,
  LocalEvent,
  LocalInvocation,
  LocalOutcome,
  LocalResult,
  Schedule,
  SubPlanCounts,
  SubPlanRequest,
} from './local.js';
export { messageSchemas } from './message-schemas.js';
export type { MessageType } from './message-schemas.js';
export type { PhasedPlan, PlanEvent, PlanEventKind } from './plan-event.js';
export { GatewayAnswerV1, GatewayRequestV1, PlanOperation } from './messages/gateway.js';
export { SUBJECT_PREFIX, pluginOfSubject, subjects } from './subjects.js';
export type { OneOrMany, PlanCount, PlanFilter, PlanOrder, PlanQuery, PlanSummary } from './plan-search.js';
export { isPlanCancellable } from './plan-view.js';
export type { ActionView, PlanResult, PlanState, PlanView, StepView } from './plan-view.js';
