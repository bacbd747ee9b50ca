import type { BusLog } from '@dynflow/bus';
import { Arrivals } from './arrivals.js';

export interface LogEntry {
  readonly level: keyof BusLog;
  readonly message: string;
}

/** A log whose entries a test can wait for. */
export class RecordingLog implements BusLog {
  readonly entries = new Arrivals<LogEntry>();

  readonly info = (message: string): void => this.entries.add({ level: 'info', message });
  readonly warn = (message: string): void => this.entries.add({ level: 'warn', message });
  readonly error = (message: string): void => this.entries.add({ level: 'error', message });

  /** The first entry that matches, now or later. */
  async first(pattern: RegExp): Promise<LogEntry> {
    const matches = ({ message }: LogEntry): boolean => pattern.test(message);
    const all = await this.entries.until((entries) => entries.some(matches));
    return all.find(matches) ?? Promise.reject(new Error('unreachable: until has just found it'));
  }
}
