import { InProcessBus, type MessageBus } from '@dynflow/bus';
import { definePlugin, type ActionDefinition, type PluginLog } from '@dynflow/plugin';
import { z } from 'zod';
import { onTestFinished } from 'vitest';
import { startExecutor, type ExecutorOptions, type RunningExecutor } from '../start-executor.js';
import { ManualClock } from './manual-clock.js';
import { ScriptedOwner } from './scripted-owner.js';

/** A log that keeps its lines, so that a test can look for one. */
export class SpecLog implements PluginLog {
  readonly lines: string[] = [];
  debug = (message: string, facts?: unknown): void => this.#keep('debug', message, facts);
  info = (message: string, facts?: unknown): void => this.#keep('info', message, facts);
  warn = (message: string, facts?: unknown): void => this.#keep('warn', message, facts);
  error = (message: string, facts?: unknown): void => this.#keep('error', message, facts);

  #keep(level: string, message: string, facts: unknown): void {
    this.lines.push(`${level}: ${message} ${JSON.stringify(facts ?? {})}`);
  }
}

export interface SpecExecutor {
  bus: MessageBus;
  owner: ScriptedOwner;
  executor: RunningExecutor;
  log: SpecLog;
}

/** An executor of a plugin with one action over an in-process bus, and the other side of it; stopped when the test ends. */
export async function startSpecExecutor(
  action: Partial<ActionDefinition<z.ZodType, never>> & Pick<ActionDefinition, 'name'>,
  options: Partial<ExecutorOptions> & { ownerBus?: MessageBus; queues?: string[]; prepare?: (owner: ScriptedOwner) => void } = {},
): Promise<SpecExecutor> {
  const bus = options.bus ?? new InProcessBus();
  const log = new SpecLog();
  const plugin =
    options.plugin ??
    definePlugin({
      name: 'spec_plugin',
      version: '1.0.0',
      settings: { section: 'spec', schema: z.object({}) },
      actions: [{ input: z.object({}).loose(), ...action }],
    });
  const owner = new ScriptedOwner(options.ownerBus ?? bus, plugin.name, action.name);
  await owner.open(options.queues);
  options.prepare?.(owner);
  const executor = await startExecutor({
    plugin,
    settings: {},
    bus,
    executorId: 'one',
    slots: 4,
    log,
    ...options,
  });
  onTestFinished(async () => {
    let isStopped = false;
    const stopped = executor.stop({ limitMs: 0 }).then(() => (isStopped = true));
    if (options.clock instanceof ManualClock) {
      await options.clock.advanceUntil(() => isStopped);
    }
    await stopped;
    owner.close();
    await bus.close();
  });
  return { bus, owner, executor, log };
}
