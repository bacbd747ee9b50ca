import type { Scenario } from '../scenario.js';
import { listing } from './listing.js';
import { memory } from './memory.js';
import { latency, sequence, subPlans, threeStep, wide } from './throughput.js';

/** What the engine costs. */
export const engineScenarios: readonly Scenario[] = [threeStep, wide, sequence, subPlans, latency, memory, listing];
