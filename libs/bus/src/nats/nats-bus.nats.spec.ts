import { natsUsers, startNatsServer, type NatsServer } from '@dynflow/testing';
import { CONFORMANCE_PLUGIN, describeBus } from '@dynflow/testing/conformance';
import { afterAll, beforeAll } from 'vitest';
import { connectNatsBus } from './connect-nats-bus.js';
import type { NatsBus } from './nats-bus.js';

let server: NatsServer;

// With the rights that a real installation gives, so that what needs more shows itself here.
beforeAll(async () => {
  server = await startNatsServer({ config: natsUsers([CONFORMANCE_PLUGIN]) });
});
afterAll(async () => {
  await server.stop();
});

describeBus('NatsBus', async () => {
  const bus = async (user: string, name: string): Promise<NatsBus> =>
    connectNatsBus({ url: server.url, user, name, credentials: { user, password: user }, storage: 'memory' });
  const [gateway, executor, otherExecutor] = await Promise.all([
    bus('gateway', 'gateway'),
    bus(CONFORMANCE_PLUGIN, 'executor'),
    bus(CONFORMANCE_PLUGIN, 'other executor'),
  ]);
  return { gateway, executor, otherExecutor };
});
