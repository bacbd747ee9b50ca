import { subjects } from '@dynflow/contracts';
import { Arrivals, natsUsers, RecordingLog, settled, startNatsServer, type NatsServer, type NatsServerOptions } from '@dynflow/testing';
import { once } from 'node:events';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { BusUnavailableError, workQueues } from '../message-bus.js';
import { connectNatsBus, type NatsBusOptions } from './connect-nats-bus.js';
import type { NatsBus } from './nats-bus.js';

const plugin = 'example';
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) {
    await cleanup();
  }
});

async function startServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const server = await startNatsServer({ syncAlways: true, ...options });
  cleanups.push(() => server.stop());
  return server;
}

async function connect(server: NatsServer, user: string, more: Partial<NatsBusOptions> = {}): Promise<NatsBus> {
  const bus = await connectNatsBus({ url: server.url, user, name: user, ...more });
  cleanups.push(() => bus.close());
  return bus;
}

function reconnected(bus: NatsBus): Promise<void> {
  return new Promise((resolve) => {
    bus.onReconnect(resolve);
  });
}

/** A way to the server that can be cut while the server lives on, as by a firewall or a restarted pod network. */
async function startProxy(target: string): Promise<{ url: string; cut(): void }> {
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connectSocket(Number(new URL(target).port), '127.0.0.1');
    for (const [socket, peer] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        peer.destroy();
      });
      socket.pipe(peer);
    }
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const cut = (): void => sockets.forEach((socket) => void socket.destroy());
  cleanups.push(async () => {
    const closed = once(proxy, 'close');
    proxy.close();
    cut();
    await closed;
  });
  return { url: `nats://127.0.0.1:${(proxy.address() as AddressInfo).port}`, cut };
}

describe('the first connection', () => {
  it('waits for a server that is not there yet, and says so', async () => {
    const server = await startServer({ isStarted: false });
    const log = new RecordingLog();
    const connecting = connect(server, 'gateway', { log });

    expect((await log.first(/cannot be reached/)).message).toMatch(/^NATS at 127\.0\.0\.1:\d+ cannot be reached: .*refused/i);
    await server.restart();
    const bus = await connecting;

    expect(bus.isConnected).toBe(true);
    await bus.ensureWorkQueue(workQueues.steps(plugin, 'default'));
  });

  it('gives up after the time given, with the reason', async () => {
    const server = await startServer({ isStarted: false });
    const failure: unknown = await connect(server, 'gateway', { firstConnectionMs: 300 }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BusUnavailableError);
    expect((failure as Error).message).toMatch(/cannot be reached: .*refused/i);
  });

  it('gives up when told to', async () => {
    const server = await startServer({ isStarted: false });
    const controller = new AbortController();
    const log = new RecordingLog();
    const connecting = connect(server, 'gateway', { log, signal: controller.signal });
    await log.first(/cannot be reached/);
    controller.abort();
    await expect(connecting).rejects.toThrow(BusUnavailableError);
  });

  it('says that the login was refused, and comes in once the server knows it', async () => {
    const server = await startServer({ config: natsUsers([]) });
    const log = new RecordingLog();
    const connecting = connect(server, plugin, { log, credentials: { user: plugin, password: plugin } });

    expect((await log.first(/refuses/)).message).toContain(`refuses the login of "${plugin}"`);
    await server.restart(natsUsers([plugin]));

    expect((await connecting).isConnected).toBe(true);
  });

  it('takes user and password from the URL and shows neither', async () => {
    const server = await startServer({ config: natsUsers([plugin]) });
    const log = new RecordingLog();
    const url = server.url.replace('//', `//${plugin}:wrong-password@`);
    const failing = connectNatsBus({ url, user: plugin, name: 'test', log, firstConnectionMs: 1 });
    await expect(failing).rejects.toThrow(/refuses the login/);
    await expect(failing).rejects.not.toThrow(/wrong-password/);

    const bus = await connectNatsBus({ url: server.url.replace('//', `//${plugin}:${plugin}@`), user: plugin, name: 'test', log });
    cleanups.push(() => bus.close());

    expect(bus.isConnected).toBe(true);
    expect(JSON.stringify(log.entries.all)).not.toContain('wrong-password');
  });

  it.each(['', 'localhost:4222', 'http://localhost:4222', 'nats://'])('refuses the URL "%s" at once', async (url) => {
    await expect(connectNatsBus({ url, user: 'gateway', name: 'test' })).rejects.toThrow(/the NATS URL is not valid/);
  });
});

describe('a server that is killed and comes back', () => {
  it('BA7: goes on: queued messages intact, readers and subscriptions working, the callback called', async () => {
    const server = await startServer();
    const log = new RecordingLog();
    const gateway = await connect(server, 'gateway', { log, ackWaitMs: 1_000 });
    const executor = await connect(server, plugin);
    const [full, empty, taken] = [workQueues.steps(plugin, 'full'), workQueues.steps(plugin, 'empty'), workQueues.steps(plugin, 'taken')];
    for (const queue of [full, empty, taken]) {
      await gateway.ensureWorkQueue(queue);
    }
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    await Promise.all(numbers.map((number) => gateway.enqueue(full.filter, number)));
    await gateway.enqueue(taken.filter, 'taken and not settled');
    expect(await executor.reader(taken).next({ expiresMs: 5_000 })).toMatchObject({ deliveries: 1 });
    const heartbeats = new Arrivals<unknown>();
    gateway.subscribe(subjects.heartbeat(plugin, 'one'), heartbeats.add);
    executor.subscribe(subjects.plan(plugin), (message) => message, { queue: 'executors' });
    const waiting = executor.reader(empty).next({ expiresMs: 30_000 });
    await settled(executor, 'executor', plugin);

    const back = Promise.all([reconnected(gateway), reconnected(executor)]);
    await server.kill();
    await log.first(/NATS is away/);
    expect(gateway.isConnected).toBe(false);
    await server.restart();
    await back;
    expect(gateway.isConnected).toBe(true);

    await gateway.enqueue(empty.filter, 'after the outage');
    expect(await waiting).toMatchObject({ message: 'after the outage', deliveries: 1 });
    const reader = executor.reader(full);
    const read: unknown[] = [];
    for (let count = 0; count < numbers.length; count += 1) {
      const delivery = await reader.next({ expiresMs: 5_000 });
      delivery?.ack();
      read.push(delivery?.message);
    }
    expect(read).toEqual(numbers);
    // Not how often it was delivered: a killed server may have forgotten the last delivery.
    expect(await executor.reader(taken).next({ expiresMs: 10_000 })).toMatchObject({ message: 'taken and not settled' });
    expect(await gateway.request(subjects.plan(plugin), 'still there', { timeoutMs: 10_000 })).toBe('still there');
    executor.publish(subjects.heartbeat(plugin, 'one'), 'still heard');
    expect(await heartbeats.count(1)).toEqual(['still heard']);
    await gateway.ensureWorkQueue(full);
  });

  it('fails what was asked as soon as the connection breaks, and everything but publish while it is away', async () => {
    const server = await startServer();
    const log = new RecordingLog();
    const gateway = await connect(server, 'gateway', { log });
    const executor = await connect(server, plugin);
    const queue = workQueues.steps(plugin, 'default');
    await gateway.ensureWorkQueue(queue);
    const asked = new Arrivals<unknown>();
    executor.subscribe(subjects.plan(plugin), async (message) => {
      asked.add(message);
      return new Promise(() => undefined);
    });
    await settled(executor, 'executor', plugin);
    const failure = gateway.request(subjects.plan(plugin), 'question', { timeoutMs: 600_000 }).catch((error: unknown) => error);
    await asked.count(1);

    await server.kill();

    expect(await failure).toBeInstanceOf(BusUnavailableError);
    await log.first(/NATS is away/);
    expect(() => gateway.publish(subjects.executor(plugin, 'one'), 'lost')).not.toThrow();
    await expect(gateway.request(subjects.plan(plugin), {}, { timeoutMs: 600_000 })).rejects.toThrow(BusUnavailableError);
    await expect(gateway.enqueue(queue.filter, {})).rejects.toThrow(BusUnavailableError);
    await expect(gateway.ensureWorkQueue(queue)).rejects.toThrow(BusUnavailableError);
    await expect(gateway.reader(queue).next({ expiresMs: 30_000 })).rejects.toThrow(BusUnavailableError);
  });

  it('ends a wait in time while the server is away, and closes without it', async () => {
    const server = await startServer();
    const gateway = await connect(server, 'gateway');
    const inbox = workQueues.inbox(1);
    await gateway.ensureWorkQueue(inbox);
    const waiting = gateway.reader(inbox).next({ expiresMs: 1_000 });
    const stillWaiting = gateway.reader(inbox).next({ expiresMs: 600_000 });

    await server.kill();

    expect(await waiting).toBeNull();
    await gateway.close();
    expect(await stillWaiting).toBeNull();
  });

  it('waits on through a cut connection, and takes one message even if the server remembers the old wait', async () => {
    const server = await startServer();
    const proxy = await startProxy(server.url);
    const gateway = await connect(server, 'gateway');
    const executor = await connect(server, plugin, { url: proxy.url });
    const queue = workQueues.steps(plugin, 'default');
    await gateway.ensureWorkQueue(queue);
    const waiting = executor.reader(queue).next({ expiresMs: 30_000 });
    await settled(executor, 'executor', plugin);

    for (let cuts = 0; cuts < 3; cuts += 1) {
      const back = reconnected(executor);
      proxy.cut();
      await back;
    }
    await settled(executor, 'executor', plugin);
    await gateway.enqueue(queue.filter, 'first');
    await gateway.enqueue(queue.filter, 'second');

    expect(await waiting).toMatchObject({ message: 'first', deliveries: 1 });
    expect(await executor.reader(queue).next({ expiresMs: 5_000 })).toMatchObject({ message: 'second', deliveries: 1 });
  });

  it('BA8: says that the queues are gone when the server comes back without its files, and works once they are made again', async () => {
    const server = await startServer();
    const gateway = await connect(server, 'gateway', { storage: 'memory' });
    const inbox = workQueues.inbox(1);
    await gateway.ensureWorkQueue(inbox);
    await gateway.enqueue(subjects.inbox(1, 'gateway'), 'lost with the server');
    const waiting = gateway.reader(inbox).next({ expiresMs: 30_000 });
    const lost = await waiting;
    const back = reconnected(gateway);

    await server.kill();
    await server.restart();
    await back;

    expect(lost?.message).toBe('lost with the server');
    await gateway.ensureWorkQueue(inbox);
    await gateway.enqueue(subjects.inbox(1, 'gateway'), 'new');
    expect(await gateway.reader(inbox).next({ expiresMs: 5_000 })).toMatchObject({ message: 'new', deliveries: 1 });
  });
});
