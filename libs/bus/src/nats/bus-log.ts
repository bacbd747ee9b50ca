import type { JsonObject } from '@dynflow/kernel';

/** Where the adapter reports what no caller sees: refusals, outages, dropped messages. Never a message's content, never a secret. */
export interface BusLog {
  info(message: string, facts?: JsonObject): void;
  warn(message: string, facts?: JsonObject): void;
  error(message: string, facts?: JsonObject): void;
}

const nowhere = (): void => undefined;

/** For callers that gave no log. */
export const silentLog: BusLog = { info: nowhere, warn: nowhere, error: nowhere };
