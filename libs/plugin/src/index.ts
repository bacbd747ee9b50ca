export { CancelRequested, Release, StepFailure, Suspension, defineAction, failUnless, release, suspend } from './action.js';
export type { ActionDefinition, DelayMethod, DocumentStore, PlanMethod, PluginLog, RunContext } from './action.js';
export type {
  ActionView,
  PhasedPlan,
  PlanCount,
  PlanEvent,
  PlanEventKind,
  PlanFilter,
  PlanQuery,
  PlanResult,
  PlanState,
  PlanSummary,
  PlanView,
  StepView,
} from '@dynflow/contracts';
export type {
  BulkOptions,
  BulkProgress,
  BulkResult,
  FeatureStatus,
  GatewayAnswer,
  GatewayApi,
  GatewayRequest,
  GatewayRoute,
  OperationStatus,
  PlanSelection,
  TriggerRequest,
} from './gateway-api.js';
export { GatewayStacks, defineGatewayMiddleware } from './gateway-middleware.js';
export type { GatewayMiddleware, LocalCall } from './gateway-middleware.js';
export { PLAN_STATE_KINDS, defineHook, resolveHooks, withoutHook } from './hooks.js';
export type { HookRule, PlanHook, PlanHookFor, ResolvedHook } from './hooks.js';
export { LocalRunContext, defineLocalAction } from './local-action.js';
export type { Effect, EffectContext, LocalActionDefinition } from './local-action.js';
export { concurrence, fromInput, inputWithout, outputOf, planAction, planSelf, sequence } from './plan-dsl.js';
export { currentStepOf, humanizedStateOf, outputsOf, plannedActions } from './plan-views.js';
export { declarationOf, definePlugin } from './plugin.js';
export type { GatewayPart, Plugin, PluginContext, PluginDefinition, PluginRoute } from './plugin.js';
export { CancelSwitch } from './runners/cancel-switch.js';
export { runCommand } from './runners/command-runner.js';
export type { CommandContext, CommandOptions, CommandResult } from './runners/command-runner.js';
export { descendantsOf, defineMiddleware, extendAction, middlewareOf, passThrough } from './middleware.js';
export type { DelayCall, Derivable, Middleware, MiddlewareCall, Pass, RunCall } from './middleware.js';
export { MiddlewareCycleError, doNotUse, orderMiddleware, use } from './middleware-rules.js';
export type { MiddlewareList, MiddlewarePlace, MiddlewareRule, NamedMiddleware } from './middleware-rules.js';
export { NotJsonError, assertJson, performDelay, performPhase, performPlanPhase } from './runners/phases.js';
export type { ActionWithMiddleware, PlannedTree } from './runners/phases.js';
export { jsonFaultOf } from './runners/json-fault.js';
export { runLocalAction } from './runners/local-run.js';
export { failureOf, invokeAction, parseActionInput } from './runners/invocation.js';
export type { InvocationOutcome, ParsedInput } from './runners/invocation.js';
export { answerRoute, errorAnswer } from './runners/route-answer.js';
export { defineSubPlansAction } from './sub-plans-action.js';
export type { SubPlansContext, SubPlansDefinition } from './sub-plans-action.js';
export type { SubPlanCounters } from './sub-plans-counts.js';
export type { SuspendOptions } from './suspend-options.js';
export { definePollingAction } from './polling-action.js';
export type { PollingDefinition } from './polling-action.js';
