#!/usr/bin/env node
import { ConfigError, createLog, loadGatewayConfig, printConfig, settingsHelp, stopOnSignals } from '@dynflow/platform';
import { Command } from 'commander';
import { loadPlugin } from './load-plugin.js';
import type { NatsConfigRequest } from './nats-config.js';
import { VERSION } from './version.js';

const CLOSING_MS = 10_000;

const program = new Command('dynflow_api')
  .description('HTTP API to a durable workflow engine with Dynflow’s model; runs jobs of Foreman over SSH.')
  .version(VERSION)
  .option('--print-config', 'print every setting with its value and where it comes from, secrets hidden, and exit')
  .option('--json', 'with --print-config: as JSON')
  .addHelpText('after', () => `\n${settingsHelp('gateway')}`)
  .action(run);

program
  .command('nats-config')
  .description('write the configuration of a nats-server for this service: one login with least rights for the gateway and each plugin')
  .option(
    '--out <directory>',
    'where to write nats.conf and the seeds of the logins (<user>.nk, mode 0600; kept if they are there)',
    'nats',
  )
  .option('--plugins <names>', 'plugins whose executors log in, separated by commas', 'dynflow_foreman_remote_execution')
  .option('--listen <address>', 'where the server listens', '127.0.0.1:4222')
  .option('--store-dir <directory>', 'where the server keeps its streams', '/var/lib/nats')
  .option('--tls-cert <file>', "PEM file with the server's certificate")
  .option('--tls-key <file>', 'PEM file with its key')
  .option('--tls-ca <file>', 'PEM file with authorities: clients then need a certificate, too')
  .addHelpText(
    'after',
    `
Example:
  dynflow_api nats-config --out /etc/dynflow_api/nats --listen 0.0.0.0:4222 --tls-cert server.crt --tls-key server.key
  nats-server -c /etc/dynflow_api/nats/nats.conf
  DYNFLOW_NATS_URL=tls://nats.example.com:4222 DYNFLOW_NATS_NKEY_FILE=/etc/dynflow_api/nats/gateway.nk dynflow_api
`,
  )
  .action(makeNatsConfig);

await program.parseAsync();

async function makeNatsConfig(options: Omit<NatsConfigRequest, 'plugins'> & { plugins: string }): Promise<void> {
  try {
    const { writeNatsConfig } = await import('./nats-config.js');
    const { config, seeds } = await writeNatsConfig({ ...options, plugins: options.plugins.split(',').filter((name) => name !== '') });
    const rows = [...seeds].map(([user, file]) => `  ${user.padEnd(40)} ${file}`);
    process.stdout.write(
      `${config} is written. Each login has its seed in a file; give it as DYNFLOW_NATS_NKEY_FILE:\n${rows.join('\n')}\n`,
    );
  } catch (error) {
    process.stderr.write(`${refusal(error)}\n`);
    process.exitCode = 1;
  }
}

async function run(options: { printConfig?: boolean; json?: boolean }): Promise<void> {
  try {
    const { config, plugins, entries, notes } = await loadGatewayConfig({ loadPlugin });
    if (options.printConfig === true) {
      process.stdout.write(printConfig(entries, { json: options.json ?? false }));
      return;
    }
    const log = createLog(config.log);
    notes.forEach((note) => log.warn(note));
    // Only now, because it takes a second: help, the version and a refusal come at once.
    const { startGateway } = await import('./start-gateway.js');
    const gateway = await startGateway({ config, plugins, log, onDatabaseLost: () => process.exit(1) });
    // The gateway ends its runs itself when their time is over; what is added is for closing.
    const { drainLimitMs } = config.executor;
    stopOnSignals({ log, limitMs: drainLimitMs === null ? null : drainLimitMs + CLOSING_MS, stop: () => gateway.stop() });
  } catch (error) {
    process.stderr.write(`${refusal(error)}\n`);
    process.exitCode = 1;
  }
}

/** Why the service does not start, in words of its user. */
function refusal(error: unknown): string {
  if (error instanceof ConfigError) {
    return error.message;
  }
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return `dynflow_api: ${error.message}. Another program listens there; stop it, or set DYNFLOW_PORT to another port.`;
  }
  return `dynflow_api: ${error instanceof Error ? error.message : String(error)}`;
}
