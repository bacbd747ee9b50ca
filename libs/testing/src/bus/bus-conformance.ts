import { afterEach, beforeEach, describe } from 'vitest';
import type { BusWorld, BusWorldFactory } from './bus-world.js';
import { describeClosing } from './closing-conformance.js';
import { describePublishing } from './publish-conformance.js';
import { describeRequests } from './request-conformance.js';
import { describeWorkQueues } from './work-queue-conformance.js';

/** What every adapter of the bus must do, whoever wrote it: one suite, run over each. */
export function describeBus(name: string, makeWorld: BusWorldFactory): void {
  describe(name, () => {
    let world: BusWorld;

    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(async () => {
      await Promise.all([...new Set([world.gateway, world.executor, world.otherExecutor])].map((bus) => bus.close()));
    });

    const current = (): BusWorld => world;
    describePublishing(current);
    describeRequests(current);
    describeWorkQueues(current);
    describeClosing(current);
  });
}
