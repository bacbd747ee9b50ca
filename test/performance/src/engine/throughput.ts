import { Lab } from '../lab.js';
import { BENCH_DATABASES, latencyOf, round, spentOn, type Figures, type Spent } from '../measurement.js';
import type { BenchPlace, Scenario } from '../scenario.js';

const PLANS = 5_000;
const IN_FLIGHT = 400;
const LATENCY_SAMPLES = 1_000;
const WARM_UP = 500;
const SUB_PLANS = 1_000;
const PARENTS = 3;

/** Plans of three steps in sequence, many under way: what the engine can get through. */
export const threeStep: Scenario = {
  name: 'three-step',
  summary: `${PLANS} plans of three steps in sequence, ${IN_FLIGHT} under way at once`,
  databases: BENCH_DATABASES,
  measure: (place) =>
    inLab(place, async (lab) => {
      await lab.runMany('bench.Three', WARM_UP, IN_FLIGHT);
      const spent = await spentOn(() => lab.runMany('bench.Three', PLANS, IN_FLIGHT));
      return [{ scenario: 'three-step', ...figuresOf(spent, PLANS, PLANS * 3) }];
    }),
};

/** Plans of one step, one at a time: how long one job waits for the engine. */
export const latency: Scenario = {
  name: 'latency',
  summary: `${LATENCY_SAMPLES} plans of one step, one at a time: from the trigger to the plan's end`,
  databases: BENCH_DATABASES,
  measure: (place) =>
    inLab(place, async (lab) => {
      await lab.runMany('bench.Step', WARM_UP / 2, 1);
      const samples: number[] = [];
      const { seconds } = await spentOn(async () => {
        for (let index = 0; index < LATENCY_SAMPLES; index += 1) {
          const startedMs = performance.now();
          await lab.run('bench.Step');
          samples.push(performance.now() - startedMs);
        }
      });
      return [{ scenario: 'latency', ...latencyOf(samples), seconds: round(seconds, 2) }];
    }),
};

/** One plan with many sub-plans, which a local action makes. */
export const subPlans: Scenario = {
  name: 'sub-plans',
  summary: `a plan that makes ${SUB_PLANS} sub-plans of one step each and waits for them, ${PARENTS} times`,
  databases: BENCH_DATABASES,
  measure: (place) =>
    inLab(place, async (lab) => {
      await lab.runMany('bench.Step', WARM_UP, IN_FLIGHT);
      await lab.run('bench_parent.Parent', { children: WARM_UP });
      const spent = await spentOn(async () => {
        for (let parent = 0; parent < PARENTS; parent += 1) {
          await lab.run('bench_parent.Parent', { children: SUB_PLANS });
        }
      });
      const made = PARENTS * SUB_PLANS;
      return [{ scenario: 'sub-plans', ...figuresOf(spent, made, made) }];
    }),
};

/** One plan of many steps side by side. */
export const wide: Scenario = onePlan({ name: 'wide', action: 'bench.Wide', how: 'side by side', warmUp: 5_000, sizes: [1_000, 10_000] });

/**
 * One plan of many steps, one after the other: a plan that is longer must not cost more for each step. With a server each step takes
 * several round trips, so that the long one is shorter there.
 */
export const sequence: Scenario = onePlan({
  name: 'sequence',
  action: 'bench.Long',
  how: 'one after the other',
  warmUp: WARM_UP,
  sizes: [1_000, 10_000],
  sizesOnServer: [1_000, 3_000],
});

interface OnePlan {
  readonly name: string;
  readonly action: string;
  readonly how: string;
  readonly warmUp: number;
  readonly sizes: readonly number[];
  readonly sizesOnServer?: readonly number[];
}

function onePlan({ name, action, how, warmUp, sizes, sizesOnServer = sizes }: OnePlan): Scenario {
  return {
    name,
    summary: `one plan of ${sizes.join(' or ')} steps ${how}, planned by its executor`,
    databases: BENCH_DATABASES,
    measure: (place) =>
      inLab(place, async (lab) => {
        await lab.runMany('bench.Step', WARM_UP, IN_FLIGHT);
        await lab.run(action, { steps: warmUp });
        const rows: Figures[] = [];
        for (const steps of place.databaseUrl.startsWith('postgres:') ? sizesOnServer : sizes) {
          const spent = await spentOn(() => lab.run(action, { steps }));
          const { stepsPerSecond, seconds } = figuresOf(spent, 1, steps);
          rows.push({ scenario: `${name}-${steps}`, stepsPerSecond, cpuMsPerStep: round(spent.cpuMs / steps, 3), seconds });
        }
        return rows;
      }),
  };
}

async function inLab(place: BenchPlace, work: (lab: Lab) => Promise<Figures[]>): Promise<Figures[]> {
  const lab = await Lab.start(place);
  try {
    return await work(lab);
  } finally {
    await lab.stop();
  }
}

function figuresOf({ seconds, cpuMs }: Spent, plans: number, steps: number) {
  return {
    plansPerSecond: round(plans / seconds, 0),
    stepsPerSecond: round(steps / seconds, 0),
    cpuMsPerPlan: round(cpuMs / plans, 3),
    seconds: round(seconds, 2),
  };
}
