import { subjects } from '@dynflow/contracts';
import { BusUnavailableError, connectNatsBus, workQueues, type NatsBus } from '@dynflow/bus';
import { makeCertificates, settled, startNatsServer, type Certificates, type NatsServer } from '@dynflow/testing';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { writeNatsConfig, type WrittenNatsConfig } from './nats-config.js';

const ansible = 'dynflow_foreman_ansible';
const ssh = 'dynflow_foreman_remote_execution';

let directory: string;
let certificates: Certificates;
let written: WrittenNatsConfig;
let server: NatsServer;
const buses: NatsBus[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dynflow-nats-config-'));
  certificates = await makeCertificates(join(directory, 'tls'));
  written = await writeNatsConfig(request());
  server = await startNatsServer({ configFile: written.config });
});
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
});

function request(plugins = [ansible, ssh]): Parameters<typeof writeNatsConfig>[0] {
  const { cert, key } = certificates.server;
  return { out: directory, plugins, listen: '127.0.0.1:-1', storeDir: join(directory, 'store'), tlsCert: cert, tlsKey: key };
}

async function logIn(user: string, as = user): Promise<NatsBus> {
  const bus = await connectNatsBus({
    url: server.url,
    user,
    name: user,
    credentials: { nkeyFile: written.seeds.get(as) ?? 'none' },
    tls: { ca: certificates.ca, cert: null, key: null },
    firstConnectionMs: 10_000,
  });
  buses.push(bus);
  return bus;
}

describe('nats-config', () => {
  it('keeps seeds for their owner, and a second call keeps them as they are', async () => {
    const seed = await readFile(written.seeds.get(ssh) ?? '', 'utf8');
    expect((await stat(written.seeds.get(ssh) ?? '')).mode & 0o777).toBe(0o600);
    await writeNatsConfig(request([ansible, ssh, 'another']));
    expect(await readFile(written.seeds.get(ssh) ?? '', 'utf8')).toBe(seed);
    await writeNatsConfig(request());
  });

  it('says what is wrong with a name, and with half of a TLS pair', async () => {
    await expect(writeNatsConfig(request(['no.dots']))).rejects.toThrow('--plugins: "no.dots" cannot be a plugin\'s name');
    await expect(writeNatsConfig(request(['gateway']))).rejects.toThrow('--plugins: "gateway"');
    const { tlsKey: _, ...half } = request();
    await expect(writeNatsConfig(half)).rejects.toThrow('--tls-cert and --tls-key belong together');
  });

  it('says which file it cannot write', async () => {
    await chmod(directory, 0o700);
    await expect(writeNatsConfig({ ...request(), out: join(directory, 'nats.conf', 'below') })).rejects.toThrow(/ENOTDIR.*nats\.conf/);
  });
});

describe('the server with that configuration', () => {
  it('lets the gateway and an executor work together over TLS with their nkeys', async () => {
    const gateway = await logIn('gateway');
    const queue = workQueues.steps(ssh, 'default');
    await gateway.ensureWorkQueue(queue);
    await gateway.ensureWorkQueue(workQueues.inbox(1));
    gateway.subscribe(subjects.claim(1, ssh), () => 'granted');
    await settled(gateway, 'gateway', ssh);
    const executor = await logIn(ssh);
    await gateway.enqueue(subjects.step(ssh, 'default'), 'token');

    const token = await executor.reader(queue).next({ expiresMs: 10_000 });
    expect(token?.message).toBe('token');
    token?.ack();
    expect(await executor.request(subjects.claim(1, ssh), {}, { timeoutMs: 10_000 })).toBe('granted');
    await executor.enqueue(subjects.inbox(1, ssh), 'outcome');
    expect((await gateway.reader(workQueues.inbox(1)).next({ expiresMs: 10_000 }))?.message).toBe('outcome');
  });

  it('keeps one plugin’s executors from everything of another plugin', async () => {
    const gateway = await logIn('gateway');
    const queue = workQueues.steps(ssh, 'default');
    await gateway.ensureWorkQueue(queue);
    await gateway.ensureWorkQueue(workQueues.inbox(1));
    const thief = await logIn(ansible);
    const timeoutMs = 10_000;

    await expect(thief.request(subjects.claim(1, ssh), {}, { timeoutMs })).rejects.toThrow('NATS refuses publishing');
    await expect(thief.enqueue(subjects.inbox(1, ssh), {})).rejects.toThrow(BusUnavailableError);
    await expect(thief.request(subjects.heartbeat(ssh, 'one'), {}, { timeoutMs })).rejects.toThrow('NATS refuses publishing');
    await expect(thief.request(subjects.store(ssh), {}, { timeoutMs })).rejects.toThrow('NATS refuses publishing');
    await expect(thief.enqueue(subjects.step(ssh, 'default'), {})).rejects.toThrow(BusUnavailableError);
    await expect(thief.reader(queue).next({ expiresMs: timeoutMs })).rejects.toThrow('NATS refuses reading');
    await expect(thief.reader(workQueues.inbox(1)).next({ expiresMs: timeoutMs })).rejects.toThrow('NATS refuses reading');
  });

  it('refuses who has no nkey, and a name that does not belong to the nkey', async () => {
    const nobody = connectNatsBus({
      url: server.url,
      user: ssh,
      name: 'nobody',
      tls: { ca: certificates.ca, cert: null, key: null },
      firstConnectionMs: 500,
    });
    await expect(nobody).rejects.toThrow(`refuses the login of "${ssh}"`);
    const posing = await logIn('gateway', ansible);
    await expect(posing.request(subjects.store(ansible), {}, { timeoutMs: 10_000 })).rejects.toThrow('NATS refuses listening');
  });

  it('is not trusted without its authority', async () => {
    const blind = connectNatsBus({
      url: server.url.replace('nats:', 'tls:'),
      user: ssh,
      name: 'blind',
      credentials: { nkeyFile: written.seeds.get(ssh) ?? '' },
      firstConnectionMs: 500,
    });
    await expect(blind).rejects.toThrow('cannot be reached');
  });
});
