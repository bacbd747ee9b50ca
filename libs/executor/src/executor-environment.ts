import type { Clock, IdSource } from '@dynflow/kernel';
import type { MessageBus } from '@dynflow/bus';
import type { PluginLog } from '@dynflow/plugin';
import type { ExecutorTuning } from './tuning.js';

/** Who this executor is and what it works with; every part of it gets this. */
export interface ExecutorEnvironment {
  readonly bus: MessageBus;
  readonly plugin: string;
  readonly executorId: string;
  /** New at every start. */
  readonly startId: string;
  readonly site: string;
  readonly slots: number;
  readonly log: PluginLog;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly tuning: ExecutorTuning;
}
