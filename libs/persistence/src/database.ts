import type { PlanStore } from '@dynflow/engine';
import type { PlanReader } from './plans/plan-reader.js';

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
