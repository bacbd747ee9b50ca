export { callRoute } from './call-route.js';
export type { RouteCallOptions } from './call-route.js';
export { MemoryDocumentStore } from './memory-document-store.js';
export { planOf } from './plan-of.js';
export { runAction, startAction } from './run-action.js';
export type { ActionRunOptions, ActionRunResult, StartedAction, WrittenChunk } from './run-action.js';
export { silentLog } from './silent-log.js';
export type { PluginStartOptions } from './start-plugin.js';
