export { openDatabase } from './open-database.js';
export type { Database, OpenDatabaseOptions } from './database.js';
export { DatabaseInUseError, DuplicatePlanError, StoreMismatchError } from './errors.js';
export type { PlanListQuery, PlanReader, PlanSummary } from './plans/plan-reader.js';
export type { StoredActionView, StoredPlanView, StoredStepView } from './plans/stored-plan-view.js';
