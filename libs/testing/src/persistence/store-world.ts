import type { Database } from '@dynflow/persistence';

/** One test's database, empty. */
export interface StoreWorld {
  readonly database: Database;
  /** Closes it and removes the data. */
  dispose(): Promise<void>;
}

export type StoreWorldFactory = () => Promise<StoreWorld>;
