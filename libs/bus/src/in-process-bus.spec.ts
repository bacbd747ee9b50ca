import { describeBus } from '@dynflow/testing/conformance';
import { InProcessBus } from './in-process-bus.js';

describeBus('InProcessBus', async () => {
  const bus = new InProcessBus();
  return Promise.resolve({ gateway: bus, executor: bus, otherExecutor: bus });
});
