import { connect, usernamePasswordAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { subjects } from '@dynflow/contracts';
import { Arrivals, natsUsers, RecordingLog, settled, startNatsServer, type NatsServer } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BusUnavailableError, workQueues } from '../message-bus.js';
import { connectNatsBus } from './connect-nats-bus.js';
import type { NatsBus } from './nats-bus.js';
import { MessageTooLargeError } from './payload.js';

const plugin = 'example';
const other = 'other';
/** Sees everything; no user of an installation has such rights. */
const watcher = '    { user: watcher, password: watcher }';
const timeoutMs = 10_000;

let server: NatsServer;
const cleanups: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startNatsServer({ config: natsUsers([plugin, other]).replace('users: [', `users: [\n${watcher}`) });
});
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});
afterAll(async () => {
  await server.stop();
});

async function bus(user: string, log = new RecordingLog(), login = user): Promise<NatsBus> {
  const connected = await connectNatsBus({
    url: server.url,
    user,
    name: user,
    log,
    storage: 'memory',
    credentials: { user: login, password: login },
  });
  cleanups.push(() => connected.close());
  return connected;
}

async function plainClient(user: string): Promise<NatsConnection> {
  const connection = await connect({
    servers: server.url,
    authenticator: usernamePasswordAuthenticator(user, user),
    inboxPrefix: `_I.${user}`,
  });
  cleanups.push(() => connection.close());
  return connection;
}

describe('a forged reply subject', () => {
  it('gets no answer, wherever it points, and the handler is not asked', async () => {
    const log = new RecordingLog();
    const gateway = await bus('gateway', log);
    await gateway.ensureWorkQueue(workQueues.inbox(1));
    const handled = new Arrivals<unknown>();
    gateway.subscribe(subjects.claim('*', plugin), (message) => {
      handled.add(message);
      return 'the answer';
    });
    await settled(gateway, 'gateway', plugin);
    const executor = await plainClient(plugin);
    const seen = new Arrivals<string>();
    const admin = await plainClient('watcher');
    const targets = [
      `_I.${other}.abc`,
      '_I.gateway.abc',
      subjects.inbox(1, 'gateway'),
      '$JS.API.STREAM.DELETE.INBOX',
      subjects.step(other, 'default'),
    ];
    targets.forEach((target) => admin.subscribe(target, { callback: () => seen.add(target) }));
    await admin.flush();

    targets.forEach((reply) => executor.publish(subjects.claim(1, plugin), '"forged"', { reply }));
    const answer = await executor.request(subjects.claim(1, plugin), '"honest"', { timeout: timeoutMs });
    await admin.flush();

    expect(answer.json()).toBe('the answer');
    expect(handled.all).toEqual(['honest']);
    expect(seen.all).toEqual([]);
    expect(log.entries.all.filter(({ message }) => /foreign subject/.test(message))).toHaveLength(targets.length);
    await gateway.enqueue(subjects.inbox(1, 'gateway'), 'the stream is still there');
  });

  it('does not disturb what others wait for: what the server sends there is no answer', async () => {
    const gateway = await bus('gateway');
    const executor = await plainClient(plugin);
    await gateway.ensureWorkQueue(workQueues.inbox(1));
    // The executor knows where its own answer goes, and has the server confirm an inbox message to the same place with a guess.
    executor.subscribe(subjects.plan(plugin), {
      callback: (_, message) => {
        executor.publish(subjects.inbox(1, plugin), '{}', { reply: `${message.reply ?? ''}x` });
        executor.publish(subjects.inbox(1, plugin), '{}', { reply: (message.reply ?? '').replace(/\.[^.]*$/, '.*') });
        message.respond('"honest"');
      },
    });
    await executor.flush();

    const answers = await Promise.all([1, 2, 3].map(() => gateway.request(subjects.plan(plugin), {}, { timeoutMs })));

    expect(answers).toEqual(['honest', 'honest', 'honest']);
  });
});

describe('what the server refuses', () => {
  it('fails a request to a foreign subject at once and names it', async () => {
    const log = new RecordingLog();
    const executor = await bus(plugin, log);
    const foreign = subjects.claim(1, other);

    await expect(executor.request(foreign, {}, { timeoutMs: 600_000 })).rejects.toThrow(`NATS refuses publishing to ${foreign}`);
    await expect(executor.enqueue(subjects.inbox(1, other), {})).rejects.toThrow(BusUnavailableError);
    expect((await log.first(/refuses publishing/)).message).toContain(foreign);
  });

  it('reports a refused publish in the log, with its subject', async () => {
    const log = new RecordingLog();
    const executor = await bus(plugin, log);
    executor.publish(subjects.heartbeat(other, 'one'), {});
    expect(await log.first(/refuses publishing/)).toMatchObject({
      level: 'error',
      message: expect.stringContaining(subjects.heartbeat(other, 'one')) as string,
    });
  });

  it('reports a refused subscription in the log, with its subject', async () => {
    const log = new RecordingLog();
    const executor = await bus(plugin, log);
    executor.subscribe(subjects.plan(other), () => 'stolen');
    expect((await log.first(/refuses listening/)).message).toContain(subjects.plan(other));
  });

  it('fails a reader of a foreign queue at once', async () => {
    const gateway = await bus('gateway');
    const queue = workQueues.steps(other, 'default');
    await gateway.ensureWorkQueue(queue);
    const executor = await bus(plugin);
    await expect(executor.reader(queue).next({ expiresMs: 600_000 })).rejects.toThrow('NATS refuses reading the work queue');
  });

  it('fails making a queue without the right to', async () => {
    const executor = await bus(plugin);
    await expect(executor.ensureWorkQueue(workQueues.steps(plugin, 'own'))).rejects.toThrow(BusUnavailableError);
  });

  it('says that the name does not fit the credentials when answers cannot arrive', async () => {
    const executor = await bus('misspelt', new RecordingLog(), plugin);
    const ask = async (): Promise<unknown> => executor.request(subjects.store(plugin), {}, { timeoutMs: 600_000 });
    await expect(ask()).rejects.toThrow(/NATS refuses listening on _I\.misspelt\./);
    await expect(ask()).rejects.toThrow(/is the user's name its plugin's\?/);
  });
});

describe('messages that do not fit', () => {
  it('refuses a message above the limit of the server, before it is sent', async () => {
    const gateway = await bus('gateway');
    const queue = workQueues.steps(plugin, 'default');
    await gateway.ensureWorkQueue(queue);
    const large = 'x'.repeat(1024 * 1024);

    expect(() => gateway.publish(subjects.executor(plugin, 'one'), large)).toThrow(MessageTooLargeError);
    await expect(gateway.request(subjects.plan(plugin), large, { timeoutMs })).rejects.toThrow(MessageTooLargeError);
    await expect(gateway.enqueue(queue.filter, large)).rejects.toThrow(MessageTooLargeError);
    await gateway.enqueue(queue.filter, large.slice(2));
    expect(gateway.isConnected).toBe(true);
  });

  it('answers what is not JSON with an error, and drops it where nobody asks', async () => {
    const log = new RecordingLog();
    const gateway = await bus('gateway', log);
    const handled = new Arrivals<unknown>();
    gateway.subscribe(subjects.store(plugin), handled.add);
    await settled(gateway, 'gateway', plugin);
    const executor = await plainClient(plugin);

    executor.publish(subjects.store(plugin), '{"half":');
    const answer = await executor.request(subjects.store(plugin), '', { timeout: timeoutMs });

    expect(answer.headers?.get('Error')).toBe('true');
    expect(log.entries.all.some(({ level }) => level === 'error')).toBe(true);
    expect(handled.all).toEqual([]);
  });

  it('removes from a queue what is not JSON and goes on to the next', async () => {
    const gateway = await bus('gateway');
    const inbox = workQueues.inbox(7);
    await gateway.ensureWorkQueue(inbox);
    const executor = await plainClient(plugin);
    const reader = gateway.reader(inbox);

    await executor.request(subjects.inbox(7, plugin), 'not JSON', { timeout: timeoutMs });
    await executor.request(subjects.inbox(7, plugin), '', { timeout: timeoutMs });
    await executor.request(subjects.inbox(7, plugin), '"fine"', { timeout: timeoutMs });

    expect(await reader.next({ expiresMs: 5_000 })).toMatchObject({ message: 'fine', deliveries: 1 });
    expect(await reader.next({ expiresMs: 1_000 })).toBeNull();
  });
});

describe('a stream that is there already', () => {
  it('is used when an operator has only given it limits, and refused when it is no work queue of ours', async () => {
    const admin = await plainClient('watcher');
    const create = async (name: string, config: object): Promise<void> => {
      const answer = await admin.request(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify({ name, storage: 'memory', ...config }));
      expect(answer.json()).not.toHaveProperty('error');
    };
    await create('STEPS_limited', { subjects: ['dynflow.v1.step.limited.*'], retention: 'workqueue', max_bytes: 10_000_000 });
    await create('STEPS_kept', { subjects: ['dynflow.v1.step.kept.*'], retention: 'limits' });
    const gateway = await bus('gateway');

    await gateway.ensureWorkQueue(workQueues.steps('limited', 'default'));
    await gateway.enqueue(subjects.step('limited', 'default'), {});
    await expect(gateway.ensureWorkQueue(workQueues.steps('kept', 'default'))).rejects.toThrow(/STEPS_kept on the NATS server is not ours/);
  });

  it('keeps its messages when a queue is made again with another time', async () => {
    const gateway = await bus('gateway');
    const queue = workQueues.inbox(8);
    await gateway.ensureWorkQueue(queue);
    await gateway.enqueue(subjects.inbox(8, 'gateway'), 'kept');
    const nextRelease = await connectNatsBus({
      url: server.url,
      user: 'gateway',
      name: 'next release',
      storage: 'memory',
      ackWaitMs: 1_000,
      credentials: { user: 'gateway', password: 'gateway' },
    });
    cleanups.push(() => nextRelease.close());

    await nextRelease.ensureWorkQueue(queue);

    // Not settled, so it comes back after the new time: the old one would outlast the wait.
    expect(await gateway.reader(queue).next({ expiresMs: 5_000 })).toMatchObject({ message: 'kept', deliveries: 1 });
    expect(await nextRelease.reader(queue).next({ expiresMs: 20_000 })).toMatchObject({ message: 'kept', deliveries: 2 });
  });
});
