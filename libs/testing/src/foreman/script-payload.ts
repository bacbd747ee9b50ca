import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@dynflow/kernel';

/** A script job for one host. What is left out is as Foreman sends it by default, explicit nulls included. */
export interface ScriptJob {
  /** Address or name to connect to. */
  hostname: string;
  script: string;
  /** The host's name at Foreman; `hostname` unless given. */
  fqdn?: string;
  sshUser?: string;
  sshPort?: number;
  effectiveUser?: string;
  effectiveUserMethod?: 'sudo' | 'dzdo' | 'su';
  sshPassword?: string;
  keyPassphrase?: string;
  effectiveUserPassword?: string;
  /** Seconds after which the proxy stops the job; none unless given. */
  executionTimeoutIntervalSeconds?: number;
  isFirstExecution?: boolean;
  cleanupWorkingDirs?: boolean;
  remoteWorkingDir?: string;
  /** Foreman's ids; fresh ones unless given. */
  planId?: string;
  taskId?: string;
  stepId?: number;
  /** Further keys of `action_input`, or other values for those that are there. */
  extra?: JsonObject;
}

/** The ids under which Foreman knows one host of a launch. */
export interface LaunchedHost {
  readonly hostname: string;
  /** Foreman's execution plan: the key in the launch, and the id of the child plan at the proxy. */
  readonly planId: string;
  /** Foreman's task: what callbacks name. */
  readonly taskId: string;
}

export const scriptActionClass = 'Proxy::RemoteExecution::Ssh::Actions::RunScript';

/** The body of `POST /tasks/launch` for a batch of script jobs, key by key in Foreman's order, with the ids that were used. */
export function scriptBatchPayload(
  jobs: readonly ScriptJob[],
  options: { proxyUrl: string; operation?: string },
): { payload: JsonObject; hosts: readonly LaunchedHost[] } {
  const operation = options.operation ?? 'ssh';
  const hosts: LaunchedHost[] = [];
  const input: JsonObject = {};
  for (const job of jobs) {
    const host = { hostname: job.hostname, planId: job.planId ?? randomUUID(), taskId: job.taskId ?? randomUUID() };
    hosts.push(host);
    input[host.planId] = {
      action_input: scriptActionInput(job, { operation, proxyUrl: options.proxyUrl, taskId: host.taskId }),
      action_class: scriptActionClass,
    };
  }
  return { payload: { input, operation, options: {} }, hosts };
}

/** The `action_input` of one script job. */
export function scriptActionInput(job: ScriptJob, options: { operation: string; proxyUrl: string; taskId: string }): JsonObject {
  return {
    proxy_operation_name: options.operation,
    time_to_pickup: 86_400,
    ssh_user: job.sshUser ?? 'root',
    effective_user: job.effectiveUser ?? 'root',
    effective_user_method: job.effectiveUserMethod ?? 'sudo',
    cleanup_working_dirs: job.cleanupWorkingDirs ?? true,
    remote_working_dir: job.remoteWorkingDir ?? '/var/tmp',
    ssh_port: job.sshPort ?? 22,
    hostname: job.hostname,
    script: job.script,
    execution_timeout_interval: job.executionTimeoutIntervalSeconds ?? null,
    secrets: {
      ssh_password: job.sshPassword ?? null,
      key_passphrase: job.keyPassphrase ?? null,
      effective_user_password: job.effectiveUserPassword ?? null,
    },
    use_batch_triggering: true,
    first_execution: job.isFirstExecution ?? false,
    alternative_names: { fqdn: job.fqdn ?? job.hostname },
    connection_options: { retry_interval: 15, retry_count: 4, proxy_batch_triggering: true },
    proxy_url: options.proxyUrl,
    proxy_action_name: scriptActionClass,
    callback: { task_id: options.taskId, step_id: job.stepId ?? 3 },
    ...job.extra,
  };
}
