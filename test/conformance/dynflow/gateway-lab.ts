import type { RestedPlan } from '@dynflow/engine';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import type { Plugin } from '@dynflow/plugin';
import { startCore, type GatewayCore } from 'dynflow_api';

/** A gateway without HTTP in this process, and a way to wait for plans. */
export interface GatewayLab {
  readonly core: GatewayCore;
  /** Resolved when the plan comes to rest, or has. */
  rested(plan: string): Promise<RestedPlan>;
}

/** Starts one with these settings; with PostgreSQL it waits until the database is its own. */
export async function startGatewayLab(
  env: Readonly<Record<string, string>> = {},
  options: { plugins?: readonly Plugin[]; onDatabaseLost?: () => void } = {},
): Promise<GatewayLab> {
  const rested = new Map<string, RestedPlan>();
  const waiting = new Map<string, (plan: RestedPlan) => void>();
  const { config } = await loadGatewayConfig({
    env: { DYNFLOW_PLUGINS: '', DYNFLOW_LOG_LEVEL: 'silent', ...env },
    loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
  });
  const { plugins = [], ...rest } = options;
  const core = await startCore({
    ...rest,
    config,
    plugins: plugins.map((plugin) => ({ plugin, settings: {} })),
    log: createLog({ level: 'silent', format: 'json' }),
    onRest: (plan) => {
      rested.set(plan.id, plan);
      waiting.get(plan.id)?.(plan);
    },
  });
  return {
    core,
    rested: (plan) => {
      const known = rested.get(plan);
      return known === undefined ? new Promise((resolve) => waiting.set(plan, resolve)) : Promise.resolve(known);
    },
  };
}
