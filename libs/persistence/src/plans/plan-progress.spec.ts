import { expect, it } from 'vitest';
import { planProgress } from './plan-progress.js';

const step = { id: 1, state: 'pending', action: 1, error: null, startedAtMs: null, endedAtMs: null, executionTimeMs: 0, retries: 0 };

it('FE4: a plan that is scheduled has no progress, whatever is known of its steps', () => {
  const steps = [
    { ...step, kind: 'plan' as const, waitingFor: null, progress: 0 },
    { ...step, kind: 'run' as const, waitingFor: null, progress: 0.5 },
  ];
  expect(planProgress('scheduled', [], () => ({ run: 1, finalize: 1 }))).toBe(0);
  expect(planProgress('scheduled', steps, () => ({ run: 1, finalize: 1 }))).toBe(0);
  expect(planProgress('running', steps, () => ({ run: 1, finalize: 1 }))).toBe(0.5);
});
