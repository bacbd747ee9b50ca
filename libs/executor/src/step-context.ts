import { BaseRpcContext } from '@nestjs/microservices';
import type { StepRun } from './run/step-run.js';

/** What a Nest handler of steps gets beside the grant. */
export class StepContext extends BaseRpcContext<[StepRun]> {
  constructor(run: StepRun) {
    super([run]);
  }

  get run(): StepRun {
    return this.args[0];
  }

  /** 1 at the first run of the step. */
  get attempt(): number {
    return this.run.attempt;
  }

  /** Aborted when the step is to be cancelled. */
  get signal(): AbortSignal {
    return this.run.signal;
  }
}
