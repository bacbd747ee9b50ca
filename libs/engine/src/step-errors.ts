import { messageOf } from '@dynflow/kernel';
import type { StepErrorV1 } from '@dynflow/contracts';

/** Carries the error that an executor answered when it was asked for a plan. */
export class PlanningFailed extends Error {
  constructor(readonly stepError: StepErrorV1) {
    super(stepError.message);
  }
}

/** What was thrown, as a step records it. */
export function errorOf(error: unknown): StepErrorV1 {
  if (error instanceof PlanningFailed) {
    return error.stepError;
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const isRetryable = error instanceof Error && 'retryable' in error && error.retryable === true;
  return {
    errorClass: error instanceof Error ? error.name : 'Error',
    message: messageOf(error),
    ...code,
    kind: isRetryable ? 'retryable' : 'final',
  };
}
