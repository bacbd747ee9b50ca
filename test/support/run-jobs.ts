import type { JsonObject } from '@dynflow/kernel';
import type { LaunchedHost, PlanDocument, ScriptJob } from '@dynflow/testing';
import { expect } from 'vitest';
import type { Stack } from './stack.js';
import { patienceMs } from './story.js';
import { textOf } from './output.js';

/** How one host of a batch ended, as its callback tells. */
export interface JobEnd {
  readonly exitStatus: unknown;
  readonly stdout: string;
  readonly stderr: string;
  readonly debug: string;
  readonly data: JsonObject;
}

/** A job for the stack's host, as its own login. */
export function job(stack: Stack, script: string, own: Partial<ScriptJob> = {}): ScriptJob {
  const { host, port, user } = stack.sshd;
  return { hostname: host, sshPort: port, sshUser: user, effectiveUser: own.sshUser ?? user, script, ...own };
}

/** Launches a batch. @throws Error if the launch is refused. */
export async function launchJobs(stack: Stack, jobs: readonly ScriptJob[]): Promise<readonly LaunchedHost[]> {
  const launch = await stack.client().launch(jobs);
  expect(launch.answer).toEqual({ parent: { result: 'success', task_id: launch.parentId } });
  return launch.hosts;
}

/** Launches a batch of one. */
export async function launchJob(stack: Stack, one: ScriptJob): Promise<LaunchedHost> {
  return onlyOf(await launchJobs(stack, [one]));
}

/** Launches a batch and waits for its callbacks, one for each job, in the jobs' order. */
export async function runJobs(stack: Stack, jobs: readonly ScriptJob[]): Promise<JobEnd[]> {
  const hosts = await launchJobs(stack, jobs);
  return Promise.all(hosts.map((host) => jobEnd(stack, host)));
}

/** Launches one job and waits for its callback. */
export async function runJob(stack: Stack, one: ScriptJob): Promise<JobEnd> {
  return onlyOf(await runJobs(stack, [one]));
}

function onlyOf<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined || list.length > 1) {
    throw new Error(`a batch of one has one host, not ${list.length}`);
  }
  return first;
}

/** Waits for a host's callback. */
export async function jobEnd(stack: Stack, host: LaunchedHost): Promise<JobEnd> {
  const { data } = await stack.foreman.waitForCallback(host.taskId, { timeoutMs: patienceMs });
  expect(stack.foreman.faultsOf(host.taskId)).toEqual([]);
  const { result } = data;
  return {
    exitStatus: data['exit_status'],
    stdout: textOf(result, 'stdout'),
    stderr: textOf(result, 'stderr'),
    debug: textOf(result, 'debug'),
    data,
  };
}

/** Waits for a host's plan to be in a state that satisfies `isEnough`. */
export function untilStatus(stack: Stack, host: LaunchedHost, isEnough: (document: PlanDocument) => boolean): Promise<PlanDocument> {
  return stack.client().waitForStatus(host.planId, isEnough, { timeoutMs: patienceMs });
}

export const isStopped = ({ state }: PlanDocument): boolean => state === 'stopped';
