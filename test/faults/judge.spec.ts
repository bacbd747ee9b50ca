import { describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import type { PlanView } from '@dynflow/plugin';
import type { Entry } from './entries.js';
import { complaintsOf, type DisturbedRun, type Run } from './judge.js';

type StepDraft = { state: string; error?: JsonObject; waitingFor?: string };

/** A plan of one action with one step; `label` names them in the ledger. */
function plan(id: string, step: StepDraft, more: { action?: string; state?: string; result?: string; output?: JsonObject } = {}): PlanView {
  const { action = 'faults.Work', state = 'stopped', result = 'success', output = {} } = more;
  return {
    id,
    state,
    result,
    actions: [{ id: 1, name: action, runStepId: 1, input: { label: id }, output }],
    steps: [{ id: 1, action: 1, kind: 'run', error: null, waitingFor: null, ...step }],
  } as unknown as PlanView;
}

const effect = (id: string, more: Partial<Extract<Entry, { kind: 'effect' }>> = {}): Entry => ({
  kind: 'effect',
  plan: id,
  step: 1,
  attempt: 1,
  label: id,
  phase: 'run',
  saw: null,
  ...more,
});
const callback = (verdict: 'accepted' | 'known already'): Entry => ({ kind: 'callback', plan: 'three', verdict, saw: null });
const lost = { code: 'DYN_EXECUTOR_LOST', message: 'The executor was lost' };

const clean: Run = {
  ended: [plan('three', { state: 'success' }), plan('stopped', { state: 'error' }, { result: 'error' })],
  mute: [],
  isTimedOut: false,
  plans: 2,
  ledger: [effect('three'), callback('accepted')],
};

function judged(change: Partial<DisturbedRun>): string[] {
  return complaintsOf({ ...clean, left: [], integrity: 'ok', ...change }, clean);
}
/** The clean run with another end of its first plan. */
const withThree = (view: PlanView): PlanView[] => [view, clean.ended[1]!];

describe('the judge of a run whose process was killed', () => {
  it('has nothing to say of one that ended as if undisturbed, with an answer of a receiver that had it before', () => {
    expect(judged({})).toEqual([]);
    const twice = [effect('three'), callback('accepted'), { kind: 'restart' } as const, callback('known already')];
    expect(judged({ ledger: twice })).toEqual([]);
  });

  it('takes a pause only for a step that was at work, and only if it says that it was lost', () => {
    const paused = (error: JsonObject): PlanView => plan('three', { state: 'error', error }, { state: 'paused', result: 'error' });
    const left = [plan('three', { state: 'running' }, { state: 'running', result: 'pending' })];
    expect(judged({ ended: withThree(paused(lost)), left })).toEqual([]);
    expect(judged({ ended: withThree(paused({ message: 'what?' })), left })).toEqual([
      expect.stringContaining('paused for no good reason'),
    ]);
    expect(judged({ ended: withThree(paused(lost)) })).toEqual([
      expect.stringContaining('paused for no good reason'),
      expect.stringContaining('ended otherwise than undisturbed'),
    ]);
    const repeatable = [plan('three', { state: 'running' }, { action: 'faults.Careful', state: 'running', result: 'pending' })];
    expect(judged({ ended: withThree(paused(lost)), left: repeatable })).toHaveLength(2);
  });

  it('complains of a plan that is gone, that waits, or that waits for nothing', () => {
    expect(judged({ ended: clean.ended.slice(1) })).toEqual(['the plan three is gone']);
    const waiting = plan('three', { state: 'suspended', waitingFor: 'a word' }, { state: 'running', result: 'pending' });
    expect(judged({ ended: withThree(waiting), isTimedOut: true })).toEqual([
      'it did not come to an end',
      'the plan three is running, its steps suspended (1 waits for a word)',
      expect.stringContaining('ended otherwise'),
    ]);
    expect(judged({ plans: 3 })).toEqual(['there are 3 plans, not 2']);
    expect(judged({ mute: ['three/1'] })).toEqual(['the step three/1 waited without saying for what']);
  });

  it('complains of an effect that happened twice, and of one that never did', () => {
    expect(judged({ ledger: [...clean.ledger, effect('three')] })).toEqual(['happened 2 times: three/1 three run, attempt 1']);
    expect(judged({ ledger: [callback('accepted')] })).toEqual(['never happened: three three run null']);
    expect(judged({ ledger: [effect('three', { saw: 'b!' }), callback('accepted')] })).toEqual(['never happened: three three run null']);
    expect(judged({ ledger: [...clean.ledger, effect('three', { phase: 'finalize' }), effect('three', { phase: 'finalize' })] })).toEqual(
      [],
    );
    const careful = withThree(plan('three', { state: 'success' }, { action: 'faults.Careful' }));
    expect(judged({ ledger: [...clean.ledger, effect('three')], ended: careful })).toEqual([]);
  });

  it('complains of a callback that was accepted twice, or never though its plan is over', () => {
    expect(judged({ ledger: [...clean.ledger, callback('accepted')] })).toEqual(['the callback was accepted 2 times']);
    expect(judged({ ledger: [effect('three')] })).toEqual(['the callback was never accepted, and its plan is over']);
  });

  it('complains of a cancel that was acknowledged and forgotten', () => {
    const paused = plan('stopped', { state: 'error', error: lost }, { state: 'paused', result: 'error' });
    const left = [plan('stopped', { state: 'running' }, { state: 'running', result: 'pending' })];
    const ended = [clean.ended[0]!, paused];
    expect(judged({ ended, left })).toEqual([]);
    const ledger: Entry[] = [...clean.ledger, { kind: 'acknowledged', act: 'cancel', plan: null }];
    expect(judged({ ended, left, ledger })).toEqual(['a plan whose cancel was acknowledged is paused']);
    expect(judged({ ledger: [...ledger, effect('stopped', { label: 'never' })] })).toEqual(['what comes after a cancelled step was begun']);
  });

  it('complains of two sub-plans at work at once under a limit of one, and not of one that died at work', () => {
    const [one, other] = [effect('batch-1', { phase: 'begin' }), effect('batch-2', { phase: 'begin' })];
    expect(judged({ ledger: [...clean.ledger, one, other] })).toEqual(['batch-2 began while batch-1 was at work']);
    expect(judged({ ledger: [...clean.ledger, one, { kind: 'restart' }, other] })).toEqual([]);
  });

  it('complains of output that is doubled or out of order, and of a damaged database', () => {
    const output = { lines: ['one\n', 'one\n'].map((text) => ({ output_type: 'stdout', output: text, timestamp: 1 })) };
    expect(judged({ ended: withThree(plan('three', { state: 'success' }, { output })) })).toEqual([
      expect.stringContaining('ended otherwise'),
      'the output of action 1 of three is "one\\none\\n"',
    ]);
    expect(judged({ integrity: 'row 3 missing from index' })).toEqual(['the database is damaged: row 3 missing from index']);
  });
});
