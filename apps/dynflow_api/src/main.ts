#!/usr/bin/env node
import { ConfigError, createLog, loadGatewayConfig, printConfig, settingsHelp, stopOnSignals } from '@dynflow/platform';
import { Command } from 'commander';
import { loadPlugin } from './load-plugin.js';
import { VERSION } from './version.js';

const CLOSING_MS = 10_000;

const program = new Command('dynflow_api')
  .description('HTTP API to a durable workflow engine with Dynflow’s model; runs jobs of Foreman over SSH.')
  .version(VERSION)
  .option('--print-config', 'print every setting with its value and where it comes from, secrets hidden, and exit')
  .option('--json', 'with --print-config: as JSON')
  .addHelpText('after', () => `\n${settingsHelp('gateway')}`);

await run(program.parse().opts());

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
    stopOnSignals({ log, limitMs: config.executor.drainLimitMs + CLOSING_MS, stop: () => gateway.stop() });
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
