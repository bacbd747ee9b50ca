import { connectNatsBus } from '@dynflow/bus';
import { ThreadHeart, startExecutor, type ExecutorTuning } from '@dynflow/executor';
import { createLog } from '@dynflow/platform';
import { chaosPlugin } from './chaos-plugin.js';
import { killSwitchBus, type KillPoint } from './kill-switch-bus.js';

/** What the process of a chaos executor is told. */
export interface ChaosExecutorOptions {
  readonly natsUrl: string;
  readonly id: string;
  readonly slots: number;
  readonly killAt?: KillPoint;
  readonly tuning?: Partial<ExecutorTuning>;
}

/** An executor of the chaos plugin, wired as those of the applications are. It writes `ready` when a gateway has taken it. */
export async function main([text = '{}']: string[]): Promise<void> {
  const options = JSON.parse(text) as ChaosExecutorOptions;
  const log = createLog({ level: 'info', format: 'json', base: { program: options.id } });
  const login = { url: options.natsUrl };
  const connected = await connectNatsBus({ ...login, user: chaosPlugin.name, name: options.id, log });
  const executor = await startExecutor({
    plugin: chaosPlugin,
    settings: {},
    bus: options.killAt === undefined ? connected : killSwitchBus(connected, options.killAt),
    executorId: options.id,
    slots: options.slots,
    log,
    ...(options.tuning === undefined ? {} : { tuning: options.tuning }),
    heart: (environment) => new ThreadHeart(environment, login),
  });
  let isStopping = false;
  const stopped = new Promise<void>((resolve) => {
    const stop = async (): Promise<void> => {
      // The first signal drains without limit; the second ends it.
      const limits = isStopping ? { limitMs: 0 } : {};
      isStopping = true;
      await executor.stop(limits);
      await connected.close();
      resolve();
    };
    process.on('SIGTERM', () => void stop());
  });
  await executor.announced;
  process.stdout.write('ready\n');
  await stopped;
  process.exit(0);
}
