import type { BenchDatabase, Figures } from './measurement.js';

/** Something that is measured, on each of its databases in a process of its own, so that none warms another. */
export interface Scenario {
  readonly name: string;
  /** For the help: what it does. */
  readonly summary: string;
  readonly databases: readonly BenchDatabase[];
  measure(place: BenchPlace): Promise<Figures[]>;
}

/** Where a scenario may work; all of it is thrown away afterwards. */
export interface BenchPlace {
  /** An empty database. */
  readonly databaseUrl: string;
  /** For files. */
  readonly directory: string;
}
