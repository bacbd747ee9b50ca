import { loadavg } from 'node:os';

/** Where the plans are kept while they are measured. */
export const BENCH_DATABASES = ['sqlite-memory', 'sqlite-file', 'postgres'] as const;
export type BenchDatabase = (typeof BENCH_DATABASES)[number];

/** What was measured; figures that do not apply are left out. Times of CPU are those of this process, the database server's not. */
export interface Figures {
  /** The scenario, with its size where it has several. */
  readonly scenario: string;
  readonly plansPerSecond?: number;
  readonly stepsPerSecond?: number;
  readonly cpuMsPerPlan?: number;
  readonly cpuMsPerStep?: number;
  readonly latencyP50Ms?: number;
  readonly latencyP99Ms?: number;
  readonly rssMb?: number;
  /** What the memory of the process has grown by for each plan since the row before. */
  readonly kibPerPlan?: number;
  readonly seconds: number;
}

/** One row of a run. */
export interface Measurement extends Figures {
  readonly suite: string;
  readonly database: BenchDatabase;
  readonly bus: 'in-process';
  /** Of the last minute, at the moment when the scenario began: the benchmark itself makes about one of it. */
  readonly loadAverage: number;
}

export const round = (value: number, digits: number): number => Number(value.toFixed(digits));

export const loadAverage = (): number => round(loadavg()[0] ?? 0, 1);

/** Time on the clock and time of CPU that some work took in this process. */
export interface Spent {
  readonly seconds: number;
  readonly cpuMs: number;
}

export async function spentOn(work: () => Promise<void>): Promise<Spent> {
  const before = process.cpuUsage();
  const startedMs = performance.now();
  await work();
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuMs: (user + system) / 1_000 };
}

/** The median and the worst of a hundred. */
export function latencyOf(samplesMs: readonly number[]): { latencyP50Ms: number; latencyP99Ms: number } {
  const sorted = samplesMs.toSorted((left, right) => left - right);
  const at = (share: number): number => round(sorted[Math.floor(sorted.length * share)] ?? 0, 2);
  return { latencyP50Ms: at(0.5), latencyP99Ms: at(0.99) };
}
