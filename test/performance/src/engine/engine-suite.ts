import { Lab, type BenchDatabase } from './lab.js';

/** One measurement; keys that do not apply are left out. */
export interface Measurement {
  suite: string;
  scenario: string;
  database: BenchDatabase;
  bus: 'in-process';
  plansPerSecond?: number;
  stepsPerSecond?: number;
  latencyP50Ms?: number;
  latencyP99Ms?: number;
  cpuMsPerPlan?: number;
  rssMb?: number;
  seconds: number;
}

const PLANS = 5_000;
const IN_FLIGHT = 400;
const LATENCY_SAMPLES = 2_000;
const WARM_UP = 500;

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

/** Plans of three steps in sequence, many under way: what the engine can get through. */
async function threeStep(database: BenchDatabase): Promise<Measurement> {
  const lab = await Lab.start(database);
  await lab.runMany('bench.Three', WARM_UP, IN_FLIGHT);
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  await lab.runMany('bench.Three', PLANS, IN_FLIGHT);
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  await lab.stop();
  return {
    suite: 'engine',
    scenario: 'three-step',
    database,
    bus: 'in-process',
    plansPerSecond: round(PLANS / seconds, 0),
    stepsPerSecond: round((PLANS * 3) / seconds, 0),
    cpuMsPerPlan: round((user + system) / 1_000 / PLANS, 3),
    seconds: round(seconds, 2),
  };
}

/** Plans of one step, one at a time: how long one job waits for the engine. */
async function latency(database: BenchDatabase): Promise<Measurement> {
  const lab = await Lab.start(database);
  await lab.runMany('bench.Step', WARM_UP, 1);
  const samples: number[] = [];
  const begunMs = performance.now();
  for (let index = 0; index < LATENCY_SAMPLES; index += 1) {
    const startedMs = performance.now();
    await lab.run('bench.Step');
    samples.push(performance.now() - startedMs);
  }
  const seconds = (performance.now() - begunMs) / 1_000;
  await lab.stop();
  samples.sort((left, right) => left - right);
  const at = (share: number): number => round(samples[Math.floor(samples.length * share)] ?? 0, 2);
  return {
    suite: 'engine',
    scenario: 'latency',
    database,
    bus: 'in-process',
    latencyP50Ms: at(0.5),
    latencyP99Ms: at(0.99),
    seconds: round(seconds, 2),
  };
}

/** Memory of the process after many finished plans; compare the two to see whether it grows with them. */
async function memory(database: BenchDatabase, plans: number): Promise<Measurement> {
  const lab = await Lab.start(database);
  const startedMs = performance.now();
  await lab.runMany('bench.Three', plans, IN_FLIGHT);
  const seconds = (performance.now() - startedMs) / 1_000;
  global.gc?.();
  const rssMb = round(process.memoryUsage.rss() / 1_048_576, 0);
  await lab.stop();
  return { suite: 'engine', scenario: `memory-after-${plans}`, database, bus: 'in-process', rssMb, seconds: round(seconds, 2) };
}

/** Every measurement of this suite by its scenario. A scenario runs in a process of its own, so that none warms another. */
export const engineScenarios: Record<string, () => Promise<Measurement>> = {
  'three-step:sqlite-memory': () => threeStep('sqlite-memory'),
  'three-step:sqlite-file': () => threeStep('sqlite-file'),
  'latency:sqlite-memory': () => latency('sqlite-memory'),
  'latency:sqlite-file': () => latency('sqlite-file'),
  'memory-5000:sqlite-file': () => memory('sqlite-file', 5_000),
  'memory-20000:sqlite-file': () => memory('sqlite-file', 20_000),
  'memory-5000:sqlite-memory': () => memory('sqlite-memory', 5_000),
  'memory-20000:sqlite-memory': () => memory('sqlite-memory', 20_000),
};
