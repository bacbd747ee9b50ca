// The suites that adapters of one port share. An entry of its own, because they import vitest, which is there in tests only.
export { describeBus } from './bus/bus-conformance.js';
export { CONFORMANCE_PLUGIN } from './bus/bus-world.js';
export type { BusWorld, BusWorldFactory } from './bus/bus-world.js';
export { describeDynflowPersistence } from './persistence/dynflow-persistence.js';
export type { ArchivedWorld } from './persistence/dynflow-persistence.js';
export { describeSearch } from './persistence/search-conformance.js';
export { describeStore } from './persistence/store-conformance.js';
export type { StoreWorld, StoreWorldFactory } from './persistence/store-world.js';
export { describeDurability } from './persistence/durability-conformance.js';
export type { DurableWorld } from './persistence/durability-conformance.js';
export { actionRow, changes, chunkRow, planRow, smallPlan, stepRow } from './persistence/rows.js';
export { startFromSource } from './process/source-process.js';
export type { SourceProcess } from './process/source-process.js';
