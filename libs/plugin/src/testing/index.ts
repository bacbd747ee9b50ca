export { MemoryDocumentStore } from './memory-document-store.js';
export { planOf } from './plan-of.js';
export { runAction, silentLog, startAction } from './run-action.js';
export type { ActionRunOptions, ActionRunResult, StartedAction, WrittenChunk } from './run-action.js';
