// For the tests of plugin authors. It imports no test runner: the assertions throw, and any runner shows that.
export { ManualClock } from './engine/manual-clock.js';
export { PlanRecord } from './engine/plan-record.js';
export type { ActionOptions, Behaviour } from './engine/scripted-catalogue.js';
export {
  PlanAssertionError,
  assertActionPlanned,
  assertActionPlannedWith,
  assertFinalizeFlow,
  assertFinalizePhase,
  assertOutput,
  assertRunFlow,
  assertRunPhase,
  assertVerdict,
  refuteActionPlanned,
  refuteFinalizePhase,
  refuteRunPhase,
} from './plugin/assertions.js';
export type { ExpectedInput } from './plugin/assertions.js';
export { finalizeNames, flowNames, readableInput } from './plugin/flow-names.js';
export { PluginWorld } from './plugin/plugin-world.js';
export type { WorldPlugin } from './plugin/plugin-world.js';
