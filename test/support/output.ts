import { isJsonObject } from '@dynflow/kernel';
import type { JsonValue } from '@dynflow/kernel';
import type { PlanDocument } from '@dynflow/testing';

/** The text of a job's output, of one type or of all. `result` is what a status document or a callback holds. */
export function textOf(result: JsonValue | undefined, type?: 'stdout' | 'stderr' | 'debug'): string {
  return (Array.isArray(result) ? result : [])
    .filter(isJsonObject)
    .filter((chunk) => type === undefined || chunk['output_type'] === type)
    .map((chunk) => String(chunk['output']))
    .join('');
}

/** The output of the action that ran on the host, as Foreman finds it: by its `task_id`. */
export function hostOutput(document: PlanDocument): { result?: JsonValue; exit_status?: JsonValue; [key: string]: JsonValue | undefined } {
  const action = document.actions.filter(isJsonObject).find((one) => isJsonObject(one['input']) && one['input']['task_id'] !== undefined);
  const output = action?.['output'];
  return isJsonObject(output ?? null) ? (output as Record<string, JsonValue>) : {};
}

/** True of a document in whose output a line stands, of any type. */
export function hasLine(line: string): (document: PlanDocument) => boolean {
  return (document) => textOf(hostOutput(document).result).split(/\r?\n/).includes(line);
}
