import { DynflowError } from '@dynflow/kernel';

/** Thrown when the quickstart cannot go on; the message is all that its user has to read. */
export class QuickstartError extends DynflowError {
  constructor(message: string) {
    super('DYN_QUICKSTART', message);
  }
}
