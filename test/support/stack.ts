import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxyClient, makeCertificates, natsUsers, startForeman, startNatsServer, startSshd } from '@dynflow/testing';
import type { Certificates, Foreman, ForemanOptions, NatsServer, Sshd } from '@dynflow/testing';
import { startExecutorProcess, startGatewayProcess } from './gateway-process.js';
import type { GatewayProcess } from './gateway-process.js';
import type { Environment, ServiceProcess } from './service-process.js';

const executorPlugin = 'dynflow_foreman_remote_execution';

/** What Foreman registered the service as. */
export const proxyUrl = 'https://proxy.example.test:9090';

/** tcpmux: reserved, and served by nobody. */
export const closedPort = 1;

export interface StackOptions {
  /** fat: one process. thin: the executor in a process of its own, NATS between the two. */
  readonly shape: 'fat' | 'thin';
  /** Thin needs a file. */
  readonly database: 'memory' | 'file';
  /** More settings of the gateway. */
  readonly env?: Environment;
  /** More settings of the executor, wherever it runs. */
  readonly executorEnv?: Environment;
  readonly onCallback?: NonNullable<ForemanOptions['onCallback']>;
  readonly allowedErrors?: readonly RegExp[];
}

/** The service as it is installed, between a Foreman (a stand-in, over mutual TLS) and a host with a real sshd. */
export interface Stack {
  readonly dir: string;
  /** Path of the database's file, where there is one. */
  readonly databaseFile: string;
  readonly certificates: Certificates;
  readonly foreman: Foreman;
  readonly sshd: Sshd;
  readonly gateway: GatewayProcess;
  /** In the thin shape. */
  readonly executor: ServiceProcess | undefined;
  /** A client that asks as Foreman does, under either prefix. */
  client(prefix?: '' | '/dynflow'): ProxyClient;
  /** A new gateway with the same settings, when the one before has been stopped. */
  startGateway(): Promise<void>;
  /** kill -9 for the gateway, and a new one with the same settings. */
  restartGateway(options?: { whileDown?: () => Promise<void> }): Promise<void>;
  /** @throws Error if a process has crashed, logged a stack trace or an error. */
  expectSound(): void;
  /** Ends everything. @throws Error if a process was not sound or did not end as it should. */
  stop(): Promise<void>;
}

/** Starts everything; resolved when a launch can be served. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dir = await mkdtemp(join(tmpdir(), 'dynflow-e2e-'));
  const closers: (() => Promise<void>)[] = [() => rm(dir, { recursive: true, force: true })];
  try {
    return await assemble(options, dir, closers);
  } catch (error) {
    await closeAll(closers).catch(() => undefined);
    throw error;
  }
}

async function assemble(options: StackOptions, dir: string, closers: (() => Promise<void>)[]): Promise<Stack> {
  const { shape, env = {}, executorEnv = {}, onCallback, allowedErrors = [] } = options;
  const certificates = await makeCertificates(join(dir, 'tls'));
  const opened = <T extends { stop(): Promise<void> }>(server: T): T => {
    closers.push(() => server.stop());
    return server;
  };
  const [foreman, sshd, nats] = await Promise.all([
    startForeman({
      tls: certificates.server,
      registeredProxies: ['proxy.example.test'],
      ...(onCallback === undefined ? {} : { onCallback }),
    }).then(opened),
    startSshd().then(opened),
    shape === 'thin' ? startNatsServer({ config: natsUsers([executorPlugin]) }).then(opened) : undefined,
  ]);

  const databaseFile = join(dir, 'dynflow.sqlite');
  const login = { DYNFLOW_REMOTE_EXECUTION_SSH_IDENTITY_KEY_FILE: sshd.clientKeyPath };
  const gatewayEnv = {
    DYNFLOW_DATABASE_URL: options.database === 'memory' ? 'sqlite::memory:' : `sqlite:${databaseFile}`,
    DYNFLOW_FOREMAN_URL: foreman.url,
    DYNFLOW_FOREMAN_SSL_CERT: certificates.client.cert,
    DYNFLOW_FOREMAN_SSL_KEY: certificates.client.key,
    DYNFLOW_FOREMAN_SSL_CA: certificates.ca,
    ...(nats === undefined ? { ...login, ...executorEnv } : { DYNFLOW_NATS_URL: urlFor(nats, 'gateway') }),
    ...env,
  };
  let gateway = await startGatewayProcess({ env: gatewayEnv, allowedErrors });
  const startGateway = async (): Promise<void> => {
    gateway = await startGatewayProcess({ env: gatewayEnv, allowedErrors });
  };
  closers.push(() => gateway.stop());
  const executor = nats === undefined ? undefined : await startExecutor(nats, { ...login, ...executorEnv }, allowedErrors);
  if (executor !== undefined) {
    closers.push(() => executor.stop());
  }

  return {
    dir,
    databaseFile,
    certificates,
    foreman,
    sshd,
    get gateway() {
      return gateway;
    },
    executor,
    client: (prefix = '/dynflow') => new ProxyClient(gateway.url, { prefix, proxyUrl }),
    startGateway,
    restartGateway: async ({ whileDown } = {}) => {
      await gateway.kill();
      await whileDown?.();
      await startGateway();
    },
    expectSound: () => {
      gateway.expectSound();
      executor?.expectSound();
    },
    stop: () => closeAll(closers),
  };
}

function startExecutor(nats: NatsServer, env: Environment, allowedErrors: readonly RegExp[]): Promise<ServiceProcess> {
  return startExecutorProcess({ env: { DYNFLOW_NATS_URL: urlFor(nats, executorPlugin), ...env }, allowedErrors });
}

/** Each program logs in as itself, with the rights that it needs and no others. */
function urlFor(nats: NatsServer, user: string): string {
  return nats.url.replace('nats://', `nats://${user}:${user}@`);
}

/** In reverse order; all are closed, whatever one of them has to complain about. */
async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    await close().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) {
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join('\n'));
  }
}
