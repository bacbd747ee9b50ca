#!/usr/bin/env node
import { connectNatsBus } from '@dynflow/bus';
import { ThreadHeart, startExecutor } from '@dynflow/executor';
import { ConfigError, createLog, loadExecutorConfig, natsLogin, printConfig, settingsHelp, stopOnSignals } from '@dynflow/platform';
import { Command } from 'commander';
import { plugin } from './plugin.js';

const CLOSING_MS = 10_000;

const program = new Command(plugin.name)
  .description('Executor that runs scripts on hosts over SSH. It needs nothing but NATS (DYNFLOW_NATS_URL) and its SSH key.')
  .version(plugin.version)
  .option('--print-config', 'print every setting with its value and where it comes from, secrets hidden, and exit')
  .option('--json', 'with --print-config: as JSON')
  .addHelpText('after', () => `\n${settingsHelp('executor')}`);

await run(program.parse().opts());

async function run(options: { printConfig?: boolean; json?: boolean }): Promise<void> {
  try {
    const { config, plugins, entries, notes } = await loadExecutorConfig({ plugin });
    if (options.printConfig === true) {
      process.stdout.write(printConfig(entries, { json: options.json ?? false }));
      return;
    }
    const log = createLog({ ...config.log, base: { program: plugin.name } });
    notes.forEach((note) => log.warn(note));
    const { id, slots, site, drainLimitMs } = config.executor;
    const nats = natsLogin(config.nats);
    const bus = await connectNatsBus({ ...nats, user: plugin.name, name: `${plugin.name} ${id}`, log });
    const executor = await startExecutor({
      plugin,
      settings: plugins[0]?.settings,
      bus,
      executorId: id,
      slots,
      site,
      log,
      heart: (environment) => new ThreadHeart(environment, nats),
    });
    stopOnSignals({
      log,
      // The executor ends its runs itself when their time is over; what is added is for closing.
      limitMs: drainLimitMs === null ? null : drainLimitMs + CLOSING_MS,
      hurry: () => void executor.stop({ limitMs: 0 }),
      stop: async () => {
        await executor.stop(drainLimitMs === null ? {} : { limitMs: drainLimitMs });
        await bus.close();
      },
    });
    await executor.announced;
    log.info(`${plugin.name} ${plugin.version} is ready`, { executor: id, slots });
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : `${plugin.name}: ${String(error)}`}\n`);
    process.exitCode = 1;
  }
}
