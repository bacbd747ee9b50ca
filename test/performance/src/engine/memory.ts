import { Lab } from '../lab.js';
import { round, spentOn, type Figures } from '../measurement.js';
import type { Scenario } from '../scenario.js';

const AFTER = [5_000, 20_000];
const IN_FLIGHT = 400;

/** Memory of the process after many finished plans, none of which is deleted: on a file it does not grow with them. */
export const memory: Scenario = {
  name: 'memory',
  summary: `resident memory after ${AFTER.join(' and ')} plans of three steps, and what it has grown by for each plan in between`,
  databases: ['sqlite-memory', 'sqlite-file'],
  measure: async (place) => {
    const lab = await Lab.start(place);
    const rows: Figures[] = [];
    let done = 0;
    let rssBefore: number | undefined;
    for (const plans of AFTER) {
      const { seconds } = await spentOn(() => lab.runMany('bench.Three', plans - done, IN_FLIGHT));
      const rss = memoryInUse();
      const grown = rssBefore === undefined ? {} : { kibPerPlan: round((rss - rssBefore) / 1_024 / (plans - done), 2) };
      rows.push({ scenario: `memory-after-${plans}`, rssMb: round(rss / 1_048_576, 0), ...grown, seconds: round(seconds, 2) });
      [done, rssBefore] = [plans, rss];
    }
    await lab.stop();
    return rows;
  },
};

/** Garbage apart, as far as it can be told. */
function memoryInUse(): number {
  global.gc?.();
  return process.memoryUsage.rss();
}
