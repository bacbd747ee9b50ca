import { startService } from './service-process.js';
import type { ProcessOptions, ServiceProcess } from './service-process.js';

export interface GatewayProcess extends ServiceProcess {
  /** Where it listens, as it says itself. */
  readonly url: string;
}

const startWithinMs = 60_000;

/** Starts the built gateway on a free port (unless `env` names one); resolved when it listens. */
export async function startGatewayProcess(options: ProcessOptions = {}): Promise<GatewayProcess> {
  const service = startService('gateway', { ...options, env: { DYNFLOW_PORT: '0', ...options.env } });
  const [, url = ''] = await service.untilLog(/listens on (https?:\/\/[^"\s]+)/, { timeoutMs: startWithinMs });
  return { ...service, url };
}

/** Starts the built executor of remote execution; resolved when a gateway has taken its announcement. */
export async function startExecutorProcess(options: ProcessOptions = {}): Promise<ServiceProcess> {
  const service = startService('remoteExecution', options);
  await service.untilLog(/ is ready"/, { timeoutMs: startWithinMs });
  return service;
}
