import type { MessageBus } from '@dynflow/bus';

/** The plugin that the suite's executors belong to: their credentials, where the bus has any, must be cut to it. */
export const CONFORMANCE_PLUGIN = 'example';

/**
 * The parties of one test. They may all be the same bus: in one process gateway and executors share it. Queues start empty where the
 * suite uses a new queue's name each time; nothing else may be left from the test before.
 */
export interface BusWorld {
  readonly gateway: MessageBus;
  readonly executor: MessageBus;
  /** Another executor of the same plugin. */
  readonly otherExecutor: MessageBus;
}

/** Makes the parties of one test; the suite closes them. */
export type BusWorldFactory = () => Promise<BusWorld>;
