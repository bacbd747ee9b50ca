import type { PlanStore } from '@dynflow/engine';
import type { PlanReader } from './plans/plan-reader.js';
import type { DocumentStore } from './tables/document-store.js';
import type { ManifestStore } from './tables/manifest-store.js';
import type { PurgeOptions } from './tables/purge.js';
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
   * Deletes plans that have stopped, the oldest first, each with its actions, steps and output; in small transactions. A sub-plan stays
   * as long as the plan that asked for it has not stopped.
   *
   * @returns how many it deleted: fewer than `limit` when nothing is left to delete.
   */
  purgeFinished(options: PurgeOptions): Promise<number>;
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
}
