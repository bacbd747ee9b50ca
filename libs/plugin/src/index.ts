export { CancelRequested, Release, StepFailure, Suspension, defineAction, failUnless, release, suspend } from './action.js';
export type { ActionDefinition, DocumentStore, PlanMethod, PluginLog, RunContext } from './action.js';
export type { ActionView, PlanResult, PlanState, PlanView, StepView } from '@dynflow/contracts';
export type {
  FeatureStatus,
  GatewayAnswer,
  GatewayApi,
  GatewayRequest,
  GatewayRoute,
  OperationStatus,
  TriggerRequest,
} from './gateway-api.js';
export { LocalRunContext, defineLocalAction } from './local-action.js';
export type { Effect, EffectContext, LocalActionDefinition } from './local-action.js';
export { concurrence, fromInput, inputWithout, outputOf, planAction, planSelf, sequence } from './plan-dsl.js';
export { declarationOf, definePlugin } from './plugin.js';
export type { GatewayPart, Plugin, PluginContext, PluginDefinition, PluginRoute } from './plugin.js';
export { CancelSwitch } from './runners/cancel-switch.js';
export { runCommand } from './runners/command-runner.js';
export type { CommandContext, CommandOptions, CommandResult } from './runners/command-runner.js';
export { failureOf, invokeAction, parseActionInput } from './runners/invocation.js';
export type { InvocationOutcome, ParsedInput } from './runners/invocation.js';
export { answerRoute, errorAnswer } from './runners/route-answer.js';
