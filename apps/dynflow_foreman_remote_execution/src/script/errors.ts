import { DynflowError } from '@dynflow/kernel';

/** Thrown when a script cannot be started on a host that was reached; the message is one clear line for the job's output. */
export class ScriptSetupError extends DynflowError {
  constructor(message: string) {
    super('DYN_SCRIPT_SETUP', message);
  }
}
