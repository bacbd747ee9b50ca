import { connectNatsBus, workQueues, type NatsBus } from '@dynflow/bus';
import { natsUsers, startNatsServer, type NatsServer } from '@dynflow/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { markInStream } from './mark-places.js';

let server: NatsServer;
let bus: NatsBus;

// With the rights that a real installation gives the gateway.
beforeAll(async () => {
  server = await startNatsServer({ config: natsUsers(['example']) });
  bus = await connectNatsBus({ url: server.url, user: 'gateway', name: 'gateway', credentials: { user: 'gateway', password: 'gateway' } });
});
afterAll(async () => {
  await bus.close();
  await server.stop();
});

it('the stream of outcomes keeps the mark of continuity, whoever makes the stream again', async () => {
  const inbox = workQueues.inbox(0);
  const place = markInStream(bus, inbox.stream);
  expect(await place.read()).toBeNull();
  await bus.ensureWorkQueue(inbox);
  expect(await place.read()).toBeNull();

  await place.write({ database: 'd', count: 1, atMs: 2.5 });
  await place.write({ database: 'd', count: 2, atMs: 3.5 });
  await bus.ensureWorkQueue(inbox);

  expect(await place.read()).toEqual({ database: 'd', count: 2, atMs: 3.5 });
});
