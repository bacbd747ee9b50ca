import type { Database } from '@dynflow/persistence';

/** One test's database, empty, and how to open the same data again (a file: closed and opened; in memory: not at all). */
export interface StoreWorld {
  readonly database: Database;
  /** Closes the database and opens it again on the same data. Absent where nothing outlives a close. */
  reopen?(): Promise<Database>;
  /** Closes whatever is open and removes the data. */
  dispose(): Promise<void>;
}

export type StoreWorldFactory = () => Promise<StoreWorld>;
