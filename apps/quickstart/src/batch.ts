import { isJsonObject } from '@dynflow/kernel';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import type { Foreman, PlanDocument, ProxyClient } from '@dynflow/testing';
import { demoScript } from './demo-scripts.js';
import type { DemoHost } from './hosts.js';
import { OutputLines } from './output-lines.js';
import type { OutputLine } from './output-lines.js';
import { QuickstartError } from './quickstart-error.js';

const pollMs = 150;
const batchLimitMs = 120_000;
const callbackLimitMs = 15_000;

/** One host of the batch, as far as its status documents have told. */
export interface HostRun {
  readonly host: DemoHost;
  readonly planId: string;
  readonly taskId: string;
  readonly expectedLines: number;
  readonly lines: OutputLines;
  seenChunks: number;
  seenLines: number;
  isStopped: boolean;
  /** A number, or a word when the script did not run to its end; undefined until it is known. */
  exitStatus: string | undefined;
  durationSeconds: number | undefined;
  endedAtMs: number | undefined;
}

export interface Batch {
  readonly planId: string;
  readonly runs: readonly HostRun[];
}

/**
 * Launches the demonstration on all hosts in one request, as Foreman would.
 *
 * @throws {QuickstartError} when the gateway refuses.
 */
export async function launchBatch(client: ProxyClient, hosts: readonly DemoHost[]): Promise<Batch> {
  const launch = await client.launch(
    hosts.map(({ name, server }, index) => ({
      hostname: server.host,
      fqdn: name,
      script: demoScript(index).script,
      sshUser: server.user,
      sshPort: server.port,
      // The account that may log in, so that no sudo is needed.
      effectiveUser: server.user,
      // Inside what is removed at the end, however that comes.
      remoteWorkingDir: server.dir,
    })),
  );
  if (launch.status !== 200 || launch.parentId === undefined) {
    throw new QuickstartError(`The gateway refused the batch: HTTP ${launch.status} ${JSON.stringify(launch.answer)}`);
  }
  const runs = hosts.map((host, index): HostRun => {
    const ids = launch.hosts[index];
    return {
      host,
      planId: ids?.planId ?? '',
      taskId: ids?.taskId ?? '',
      expectedLines: demoScript(index).lineCount,
      lines: new OutputLines(),
      seenChunks: 0,
      seenLines: 0,
      isStopped: false,
      exitStatus: undefined,
      durationSeconds: undefined,
      endedAtMs: undefined,
    };
  });
  return { planId: launch.parentId, runs };
}

export interface WatchOptions {
  readonly client: ProxyClient;
  readonly foreman: Foreman;
  readonly signal: AbortSignal;
  readonly onLine: (run: HostRun, line: OutputLine) => void;
  readonly onEnd: (run: HostRun) => void;
}

/**
 * Asks for the hosts' status documents, as Foreman's job page does, until all have stopped.
 *
 * @throws {QuickstartError} when that takes longer than two minutes.
 */
export async function watchBatch(batch: Batch, options: WatchOptions): Promise<void> {
  const until = Date.now() + batchLimitMs;
  while (batch.runs.some((run) => !run.isStopped)) {
    options.signal.throwIfAborted();
    const running = batch.runs.filter((run) => !run.isStopped);
    const documents = await options.client.statuses(running.map((run) => run.planId));
    for (const run of running) {
      const document = documents[run.planId];
      if (document !== undefined) takeIn(run, document, options);
    }
    if (Date.now() > until) {
      const names = batch.runs.filter((run) => !run.isStopped).map((run) => run.host.name);
      throw new QuickstartError(`The batch has not ended within ${batchLimitMs / 1000} s; still running: ${names.join(', ')}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Waits a while for the callbacks that are still on their way. Which ones came, Foreman's stand-in knows. */
export async function waitForCallbacks(batch: Batch, foreman: Foreman): Promise<void> {
  const taskIds = batch.runs.map((run) => run.taskId);
  await foreman.waitForCallbacks(taskIds, { timeoutMs: callbackLimitMs }).catch(() => undefined);
}

/** How much of the batch is done, from 0 to 1, judged by the lines that the scripts are known to print. */
export function progressOf(batch: Batch): number {
  const shares = batch.runs.map((run) => (run.exitStatus === undefined ? Math.min(0.95, run.seenLines / (run.expectedLines + 1)) : 1));
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

function takeIn(run: HostRun, document: PlanDocument, { foreman, onLine, onEnd }: WatchOptions): void {
  foreman.observe(run.taskId, document);
  const output = outputOf(document, run.taskId);
  const chunks = Array.isArray(output['result']) ? output['result'] : [];
  for (const chunk of chunks.slice(run.seenChunks)) {
    if (isJsonObject(chunk)) run.lines.add(textOf(chunk['output_type']), textOf(chunk['output'])).forEach(show);
  }
  run.seenChunks = chunks.length;

  const { exit_status: exitStatus, exit_status_timestamp: exitSeconds } = output;
  const isKnown = typeof exitStatus === 'number' || typeof exitStatus === 'string';
  run.isStopped = document.state === 'stopped' || document.state === 'paused';
  if (run.exitStatus !== undefined || (!isKnown && !run.isStopped)) return;

  run.lines.end().forEach(show);
  run.exitStatus = isKnown ? String(exitStatus) : 'none';
  const startedAtMs = Date.parse(`${textOf(document['started_at']).replace(' ', 'T')}Z`);
  run.endedAtMs = typeof exitSeconds === 'number' ? exitSeconds * 1000 : Date.now();
  run.durationSeconds = (run.endedAtMs - startedAtMs) / 1000;
  onEnd(run);

  function show(line: OutputLine): void {
    run.seenLines += 1;
    onLine(run, line);
  }
}

/** The output of the action that ran on the host: the first one with Foreman's task in its input. */
function outputOf(document: PlanDocument, taskId: string): JsonObject {
  const action = document.actions.filter(isJsonObject).find((one) => isJsonObject(one['input']) && one['input']['task_id'] === taskId);
  const output = action?.['output'];
  return isJsonObject(output) ? output : {};
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
