import type { PlanFilter } from '@dynflow/contracts';
import type { PlanStore } from '@dynflow/engine';
import type { PlanReader } from './plans/plan-reader.js';
import type { DocumentStore } from './tables/document-store.js';
import type { ManifestStore } from './tables/manifest-store.js';
import type { DeleteOptions, PurgeOptions } from './tables/plan-deletion.js';
import type { ShardStore } from './tables/shard-store.js';

/** An open database with all that is kept in it. */
export interface Database {
  /** For people: `SQLite in memory`, `SQLite file /var/lib/…`, never a password. */
  readonly name: string;
  readonly kind: 'sqlite' | 'postgres';
  /** False in memory: all is lost with the process. */
  readonly isDurable: boolean;
  /** True if several gateways may use it at the same time. */
  readonly isShared: boolean;
  readonly plans: PlanStore;
  readonly reader: PlanReader;
  readonly documents: DocumentStore;
  readonly manifests: ManifestStore;
  readonly shards: ShardStore;
  /**
   * Deletes plans that have stopped, the oldest first, each with its actions, steps and output; in small transactions, and, where there is
   * an archive, after they are written to it. What somebody still needs stays: a sub-plan of a plan that has not stopped, and a plan
   * that one that has not stopped begins after.
   *
   * @returns how many it deleted: fewer than `limit` when nothing is left to delete.
   * @throws UnavailableError (`DYN_ARCHIVE_UNAVAILABLE`) if the archive cannot be written; then the plans stay.
   */
  purgeFinished(options: PurgeOptions): Promise<number>;
  /** The same for those that fit the filter. @returns how many. @throws InvalidInputError for a filter that there is not. */
  deletePlans(filter: PlanFilter, options?: DeleteOptions): Promise<number>;
  /** Resolved when it answers. @throws UnavailableError */
  check(): Promise<void>;
  /** Ends the connection; every call afterwards throws UnavailableError. A second close does nothing. */
  close(): Promise<void>;
}

export interface OpenDatabaseOptions {
  /** `sqlite::memory:`, `sqlite:/path/file` or `postgres://…`. */
  readonly url: string;
  /** Told what an operator should know: a file that was made, migrations that ran. */
  readonly log?: (message: string) => void;
  /** Where plans are written to before they are deleted, as CSV in a folder a day; null or absent: nowhere. */
  readonly archiveDir?: string | null;
}
