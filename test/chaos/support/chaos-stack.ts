import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@dynflow/kernel';
import {
  ProxyClient,
  makeCertificates,
  natsUsers,
  startForeman,
  startNatsServer,
  startPostgres,
  type Foreman,
  type NatsServer,
  type PostgresServer,
} from '@dynflow/testing';
import { startFromSource, type SourceProcess } from '@dynflow/testing/conformance';
import { startGatewayProcess, type GatewayProcess } from '../../support/gateway-process.js';
import type { ChaosExecutorOptions } from './executor-process.js';

const executorModule = join(import.meta.dirname, 'executor-process.ts');

export interface ChaosStackOptions {
  /** A file serves one gateway, PostgreSQL any number. */
  readonly database: 'file' | 'postgres';
}

/** One job as it was launched: what its ledger lines begin with, its plan here, and its task at Foreman. */
export interface ChaosJob {
  readonly key: string;
  readonly plan: string;
  readonly task: string;
}

/** The thin shape with real servers, each part of which can be killed: NATS, database, gateways, executors, and a Foreman beside them. */
export class ChaosStack {
  readonly gateways: GatewayProcess[] = [];
  readonly executors: SourceProcess[] = [];
  readonly jobs: ChaosJob[] = [];

  private constructor(
    readonly dir: string,
    readonly nats: NatsServer,
    readonly foreman: Foreman,
    readonly postgres: PostgresServer | undefined,
    private readonly gatewayEnv: Record<string, string>,
  ) {}

  static async start(options: ChaosStackOptions): Promise<ChaosStack> {
    const dir = await mkdtemp(join(tmpdir(), 'dynflow-chaos-'));
    const certificates = await makeCertificates(join(dir, 'tls'));
    const [nats, foreman, postgres] = await Promise.all([
      startNatsServer({ config: natsUsers(['chaos']), syncAlways: true }),
      startForeman({ tls: certificates.server }),
      options.database === 'postgres' ? startPostgres() : undefined,
    ]);
    const databaseUrl = postgres === undefined ? `sqlite:${join(dir, 'plans.sqlite')}` : await postgres.createDatabase();
    const gatewayEnv = {
      DYNFLOW_NATS_URL: urlFor(nats, 'gateway'),
      DYNFLOW_DATABASE_URL: databaseUrl,
      DYNFLOW_SECRET_KEYS_FILE: join(dir, 'keys'),
      DYNFLOW_FOREMAN_URL: foreman.url,
      DYNFLOW_FOREMAN_SSL_CERT: certificates.client.cert,
      DYNFLOW_FOREMAN_SSL_KEY: certificates.client.key,
      DYNFLOW_FOREMAN_SSL_CA: certificates.ca,
    };
    return new ChaosStack(dir, nats, foreman, postgres, gatewayEnv);
  }

  get ledger(): string {
    return join(this.dir, 'ledger');
  }

  async startGateway(env: Record<string, string> = {}): Promise<GatewayProcess> {
    const gateway = await startGatewayProcess({ env: { ...this.gatewayEnv, ...env }, allowedErrors: [/./] });
    this.gateways.push(gateway);
    return gateway;
  }

  /** Resolved when a gateway has taken its announcement. */
  async startExecutor(options: Partial<ChaosExecutorOptions> & { id: string }): Promise<SourceProcess> {
    const all: ChaosExecutorOptions = { natsUrl: urlFor(this.nats, 'chaos'), slots: 10, ...options };
    const executor = startFromSource(executorModule, [JSON.stringify(all)]);
    this.executors.push(executor);
    await executor.untilLine(/^ready$/);
    return executor;
  }

  client(gateway: GatewayProcess | undefined = this.gateways.at(-1)): ProxyClient {
    if (gateway === undefined) {
      throw new Error('no gateway was started');
    }
    return new ProxyClient(gateway.url);
  }

  /** Launches a job of the chaos plugin as Foreman would; what it says of itself is in the ledger and in the callback. */
  async launch(action: 'Mark' | 'Detached', input: JsonObject, client: ProxyClient = this.client()): Promise<ChaosJob> {
    const key = randomUUID();
    const task = randomUUID();
    const { body, status } = await client.post('/tasks/launch', {
      operation: 'single',
      input: {
        action_class: `chaos.${action}`,
        action_input: { ledger: this.ledger, key, callback: { task_id: task, step_id: 3 }, ...input },
      },
      options: {},
    });
    if (status !== 200) {
      throw new Error(`a launch was not acknowledged: ${status} ${JSON.stringify(body)}`);
    }
    const job = { key, task, plan: (body as { task_id: string }).task_id };
    this.jobs.push(job);
    return job;
  }

  /** How often this line stands in the ledger. */
  countIn(line: string): number {
    const text = existsSync(this.ledger) ? readFileSync(this.ledger, 'utf8') : '';
    return text.split('\n').filter((one) => one === line).length;
  }

  /**
   * What must hold after whatever happened, for every job that was acknowledged: it ends in a stated result, its callback arrives, it was
   * begun at most once, and exactly once where it ended well.
   *
   * @returns what each job ended with, in the order of their launches.
   */
  async expectAllSettled(options: { timeoutMs: number }): Promise<unknown[]> {
    await this.foreman.waitForCallbacks(
      this.jobs.map(({ task }) => task),
      options,
    );
    const wrong: string[] = [];
    const results: unknown[] = [];
    for (const { key, plan, task } of this.jobs) {
      const { data } = await this.foreman.waitForCallback(task, options);
      const begun = this.countIn(`${key} begin`);
      const isWell = data['exit_status'] === 0;
      if (begun > 1 || (isWell && begun !== 1)) {
        wrong.push(`${key} was begun ${begun} times and ended with ${JSON.stringify(data['exit_status'])}`);
      }
      const document = await this.client().waitForStatus(plan, ({ state }) => state === 'stopped', options);
      if (document['result'] !== (isWell ? 'success' : 'error')) {
        wrong.push(`${key} ended with ${JSON.stringify(data['exit_status'])} and the result ${String(document['result'])}`);
      }
      results.push(data['exit_status']);
    }
    const doubled = Object.entries(this.foreman.counts()).filter(([, count]) => count > 1);
    wrong.push(...doubled.map(([task, count]) => `the callback for ${task} came ${count} times`));
    if (wrong.length > 0) {
      throw new Error(wrong.join('\n'));
    }
    return results;
  }

  /** Kills whatever is left and removes the files. */
  async stop(): Promise<void> {
    await Promise.all(this.executors.map((executor) => executor.kill('SIGKILL')));
    await Promise.allSettled(this.gateways.map((gateway) => gateway.kill()));
    await this.foreman.stop();
    await this.nats.stop();
    await this.postgres?.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}

function urlFor(nats: NatsServer, user: string): string {
  return nats.url.replace('nats://', `nats://${user}:${user}@`);
}
