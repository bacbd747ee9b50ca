import { isJsonObject } from '@dynflow/kernel';
import type { JsonObject, JsonValue } from '@dynflow/kernel';

/** A stored piece of a host's output. */
export interface EventRow {
  /** The chunk's own id, else its place in `result`; `exit` for the end. Unique within a task. */
  readonly externalId: string;
  readonly event: string;
  readonly eventType: string;
  /** Unix seconds with a fraction. */
  readonly timestamp: number;
}

export type HostResult = 'success' | 'failure';

interface HostJob {
  readonly rows: Map<string, EventRow>;
  readonly faults: string[];
  isFinished: boolean;
}

/** What Foreman's tables hold of the hosts' jobs, keyed by Foreman's task id, with Foreman's rules for what goes in. */
export class HostJobs {
  readonly #jobs = new Map<string, HostJob>();

  /**
   * Takes a callback's data and finishes the host. What comes for a finished host is dropped, as Foreman drops an event for a
   * finished step.
   */
  finish(taskId: string, data: JsonObject): void {
    const job = this.#jobOf(taskId);
    if (job.isFinished) {
      return;
    }
    job.isFinished = true;
    ingest(job, data);
  }

  /**
   * Takes the output out of a plan's status document, as a look at the job page does: that of the first action whose
   * `input.task_id` is the task's. Rows that are there already stay as they are, so a `result` that was cut, merged or
   * reordered between two looks shows in the rows.
   */
  observe(taskId: string, document: JsonObject): void {
    const job = this.#jobOf(taskId);
    const actions = Array.isArray(document['actions']) ? document['actions'] : [];
    const action = actions.filter(isJsonObject).find((one) => isJsonObject(one['input']) && one['input']['task_id'] === taskId);
    if (action === undefined) {
      job.faults.push('no action with input.task_id of this task in the status document');
    } else if (!job.isFinished) {
      ingest(job, isJsonObject(action['output']) ? action['output'] : {});
    }
  }

  /** The stored rows in the order of their arrival; none for a task that nothing was heard of. */
  rowsOf(taskId: string): readonly EventRow[] {
    return [...(this.#jobs.get(taskId)?.rows.values() ?? [])];
  }

  /** `success` exactly when the exit row says `0`; undefined until there is one or a callback came without one (a failure). */
  resultOf(taskId: string): HostResult | undefined {
    const job = this.#jobs.get(taskId);
    const exit = job?.rows.get('exit');
    if (job === undefined || (exit === undefined && !job.isFinished)) {
      return undefined;
    }
    return exit?.event === '0' && job.faults.length === 0 ? 'success' : 'failure';
  }

  /** What in this task's data Foreman's tables would have refused; empty when all was well. */
  faultsOf(taskId: string): readonly string[] {
    return [...(this.#jobs.get(taskId)?.faults ?? [])];
  }

  #jobOf(taskId: string): HostJob {
    const known = this.#jobs.get(taskId);
    if (known !== undefined) {
      return known;
    }
    const job: HostJob = { rows: new Map(), faults: [], isFinished: false };
    this.#jobs.set(taskId, job);
    return job;
  }
}

function ingest(job: HostJob, data: JsonObject): void {
  const chunks = data['result'];
  if (!Array.isArray(chunks)) {
    job.faults.push('result: expected an array');
    return;
  }
  for (const [index, chunk] of chunks.entries()) {
    const row = rowOf(chunk, index);
    if (typeof row === 'string') {
      job.faults.push(`result[${index}].${row}`);
      return;
    }
    insertOrIgnore(job, row);
  }
  const exitStatus = data['exit_status'];
  if (exitStatus !== undefined && exitStatus !== null) {
    insertOrIgnore(job, exitRow(exitStatus, data['exit_status_timestamp'], chunks.at(-1)));
  }
}

function rowOf(chunk: JsonValue, index: number): EventRow | string {
  if (!isJsonObject(chunk)) {
    return 'expected an object';
  }
  const { id, output, output_type: eventType, timestamp } = chunk;
  if (typeof output !== 'string') {
    return 'output: expected a string';
  }
  if (typeof eventType !== 'string') {
    return 'output_type: expected a string';
  }
  if (typeof timestamp !== 'number') {
    return 'timestamp: expected a number';
  }
  return { externalId: String(id ?? index), event: output, eventType, timestamp };
}

/** Foreman lets the end come a second after the last output when the proxy says no time. */
function exitRow(exitStatus: JsonValue, at: JsonValue | undefined, lastChunk: JsonValue | undefined): EventRow {
  const lastAt = isJsonObject(lastChunk) && typeof lastChunk['timestamp'] === 'number' ? lastChunk['timestamp'] : Date.now() / 1000;
  return { externalId: 'exit', event: String(exitStatus), eventType: 'exit', timestamp: typeof at === 'number' ? at : lastAt + 1 };
}

function insertOrIgnore(job: HostJob, row: EventRow): void {
  if (!job.rows.has(row.externalId)) {
    job.rows.set(row.externalId, row);
  }
}
