export { openDatabase } from './open-database.js';
export type { Database, OpenDatabaseOptions } from './database.js';
export { DatabaseInUseError, DuplicatePlanError, ShardLostError, StoreMismatchError } from './errors.js';
export type { PlanListQuery, PlanReader, PlanSummary } from './plans/plan-reader.js';
export { DocumentStore } from './tables/document-store.js';
export { ManifestStore } from './tables/manifest-store.js';
export type { PurgeOptions } from './tables/purge.js';
export { ShardStore } from './tables/shard-store.js';
export type { Shard, ShardLease } from './tables/shard-store.js';
