import { join } from 'node:path';
import { messageOf } from '@dynflow/kernel';
import { makeCertificates, ProxyClient, startForeman } from '@dynflow/testing';
import type { Foreman } from '@dynflow/testing';
import { BatchView, isGood } from './batch-view.js';
import { launchBatch, waitForCallbacks, watchBatch } from './batch.js';
import type { Batch } from './batch.js';
import { Closers } from './closers.js';
import { startGatewayProcess } from './gateway-process.js';
import type { GatewayProcess } from './gateway-process.js';
import { startHosts } from './hosts.js';
import type { DemoHosts } from './hosts.js';
import { QuickstartError } from './quickstart-error.js';
import { Screen } from './screen.js';
import type { ScreenOptions } from './screen.js';
import { curlCommand, whereToLook } from './where-to-look.js';

export interface QuickstartOptions {
  /** The checkout. */
  readonly root: string;
  /** An empty directory for all that is written; the caller removes it. Temporary files go there too. */
  readonly dir: string;
  /** The loopback address to use: `127.0.0.1` or `::1`. */
  readonly host: string;
  /** The gateway's port. */
  readonly port: number;
  readonly hostCount: number;
  /** Stop when the batch has ended, instead of waiting for the signal. */
  readonly isOnce: boolean;
  readonly screen: ScreenOptions;
  /** What the gateway inherits. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted to stop: everything that was started is stopped before `runQuickstart` resolves. */
  readonly signal: AbortSignal;
}

/** What a shell says of a program that was interrupted. */
const interruptedStatus = 130;
/** How many hosts are named where all of them would be too many. */
const shownHosts = 3;
const logName = 'gateway.log';

/**
 * Shows on one machine what the project does: a gateway, SSH hosts, a stand-in for Foreman, a batch of jobs. Nothing is left
 * behind: no process, no account, no file outside of `dir`.
 *
 * @returns the exit status: 0 when every host did its job and Foreman was told so.
 */
export async function runQuickstart(options: QuickstartOptions): Promise<number> {
  const screen = new Screen(options.screen);
  const closers = new Closers();
  let status: number;
  try {
    status = await demonstrate(options, screen, closers);
  } catch (error) {
    screen.clearStatus();
    if (!options.signal.aborted) screen.line(`\n${screen.paint(describe(error), 'red')}`);
    status = options.signal.aborted ? interruptedStatus : 1;
  }
  if (options.signal.aborted) screen.line();
  screen.showStatus(() => 'Stopping');
  await closers.closeAll((message) => screen.line(`While stopping: ${message}`));
  screen.clearStatus();
  screen.line('Stopped; nothing is left behind.');
  return status;
}

function describe(error: unknown): string {
  if (error instanceof QuickstartError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}

interface Demo {
  readonly options: QuickstartOptions;
  readonly screen: Screen;
  readonly closers: Closers;
}

async function demonstrate(options: QuickstartOptions, screen: Screen, closers: Closers): Promise<number> {
  const demo: Demo = { options, screen, closers };
  const { signal } = options;
  screen.line();
  screen.line(screen.paint('Starting, all on this machine', 'bold'));
  signal.throwIfAborted();
  const { foreman, settings } = await startForemanStandIn(demo);
  signal.throwIfAborted();
  const hosts = await startDemoHosts(demo);
  signal.throwIfAborted();
  const gateway = await startGateway(demo, { ...settings, DYNFLOW_REMOTE_EXECUTION_SSH_IDENTITY_KEY_FILE: hosts.clientKeyPath });
  signal.throwIfAborted();

  const client = new ProxyClient(gateway.url, { prefix: '' });
  screen.line();
  screen.line(screen.paint(`POST ${gateway.url}/tasks/launch`, 'bold'));
  const batch = await gateway.whileRunning(launchBatch(client, hosts.hosts));
  const isSuccess = await gateway.whileRunning(follow(demo, { batch, client, foreman }));

  screen.line();
  const logFile = options.isOnce ? undefined : join(options.dir, logName);
  whereToLook({ screen, root: options.root, url: gateway.url, planId: batch.planId, runs: batch.runs.slice(0, shownHosts), logFile });
  if (!options.isOnce) {
    screen.line();
    screen.line(screen.paint('Launch another job', 'bold'));
    screen.line(curlCommand(gateway.url, hosts.hosts));
    screen.line(`Its output: ${gateway.url}/tasks/<task_id of the answer>/status`);
    screen.line();
    screen.line(`Everything keeps running. ${screen.paint('Press Ctrl-C to stop it.', 'bold')}`);
    await gateway.whileRunning(aborted(signal));
  }
  return isSuccess ? 0 : 1;
}

/** @returns whether every host did its job and Foreman was told so. */
async function follow({ options, screen }: Demo, work: { batch: Batch; client: ProxyClient; foreman: Foreman }): Promise<boolean> {
  const { batch, client, foreman } = work;
  const view = new BatchView(screen, batch);
  view.start();
  try {
    await watchBatch(batch, {
      client,
      foreman,
      signal: options.signal,
      onLine: (run, line) => view.hostLine(run, line),
      onEnd: (run) => view.hostEnd(run),
    });
    await waitForCallbacks(batch, foreman);
  } finally {
    view.end();
  }
  screen.line();
  view.table(foreman);
  return batch.runs.every((run) => isGood(run, foreman));
}

async function startForemanStandIn({ options, screen, closers }: Demo): Promise<{ foreman: Foreman; settings: Record<string, string> }> {
  return screen.step('Foreman stand-in', async () => {
    const certificates = await makeCertificates(join(options.dir, 'tls'));
    const foreman = await startForeman({ tls: certificates.server });
    closers.add(() => foreman.stop());
    const settings = {
      DYNFLOW_FOREMAN_URL: foreman.url,
      DYNFLOW_FOREMAN_SSL_CA: certificates.client.ca,
      DYNFLOW_FOREMAN_SSL_CERT: certificates.client.cert,
      DYNFLOW_FOREMAN_SSL_KEY: certificates.client.key,
    };
    return [{ foreman, settings }, `${foreman.url}  ${screen.paint('takes callbacks over mutual TLS', 'dim')}`];
  });
}

async function startDemoHosts({ options, screen, closers }: Demo): Promise<DemoHosts> {
  return screen.step('SSH hosts', async () => {
    const hosts = await startHosts(options.hostCount, options.host, (server) => closers.add(() => server.stop()));
    const ports = hosts.hosts.slice(0, shownHosts).map(({ server }) => server.port);
    const more = hosts.hosts.length > shownHosts ? ' and more' : '';
    return [hosts, `ports ${ports.join(', ')}${more}  ${screen.paint(hosts.kind, 'dim')}`];
  });
}

async function startGateway({ options, screen, closers }: Demo, settings: Record<string, string>): Promise<GatewayProcess> {
  return screen.step('Gateway', async () => {
    const gateway = await startGatewayProcess({
      program: join(options.root, 'apps/dynflow_api/dist/main.js'),
      host: options.host,
      port: options.port,
      env: options.env,
      settings: {
        ...settings,
        DYNFLOW_LISTEN: options.host,
        DYNFLOW_PORT: String(options.port),
        DYNFLOW_DATABASE_URL: 'sqlite::memory:',
        DYNFLOW_LOG_FORMAT: 'json',
        // Whoever presses Ctrl-C does not want to wait for the scripts.
        DYNFLOW_DRAIN_LIMIT: '1s',
        DYNFLOW_REMOTE_EXECUTION_KILL_GRACE: '1',
      },
      logFile: join(options.dir, logName),
      signal: options.signal,
    });
    closers.add(() => gateway.stop());
    return [gateway, `${gateway.url}  ${screen.paint('fat shape, SQLite in memory', 'dim')}`];
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
