import { describe, expect, it } from 'vitest';
import {
  PLAN_TRANSITIONS,
  STEP_TRANSITIONS,
  IllegalTransitionError,
  assertPlanTransition,
  assertStepTransition,
  emptyTally,
  resultOf,
  type PlanState,
  type StepKind,
  type StepStateName,
} from './states.js';

const planStates: PlanState[] = ['pending', 'scheduled', 'planning', 'planned', 'running', 'paused', 'stopped'];
const stepStates: StepStateName[] = [
  'scheduling',
  'pending',
  'running',
  'success',
  'suspended',
  'skipping',
  'skipped',
  'error',
  'cancelled',
];
const stepKinds: StepKind[] = ['plan', 'run', 'finalize'];

/** Every legal move, written out a second time, so that a slip of the pen in the product's table shows. */
const legalPlanMoves = new Set([
  'pending>stopped',
  'pending>scheduled',
  'pending>planning',
  'scheduled>planning',
  'scheduled>stopped',
  'planning>planned',
  'planning>stopped',
  'planned>running',
  'planned>stopped',
  'running>paused',
  'running>stopped',
  'paused>running',
  'paused>stopped',
]);

const legalStepMoves: Record<StepKind, Set<string>> = {
  plan: new Set([
    'scheduling>pending',
    'scheduling>error',
    'scheduling>cancelled',
    'pending>running',
    'pending>error',
    'pending>cancelled',
    'running>success',
    'running>error',
    'running>cancelled',
  ]),
  run: new Set([
    'pending>running',
    'pending>skipped',
    'pending>error',
    'running>success',
    'running>error',
    'running>suspended',
    'success>suspended',
    'suspended>running',
    'suspended>error',
    'skipping>error',
    'skipping>skipped',
    'error>skipping',
    'error>running',
  ]),
  finalize: new Set([
    'pending>running',
    'pending>skipped',
    'running>success',
    'running>error',
    'success>pending',
    'error>pending',
    'error>skipped',
  ]),
};

/** All moves that are not refused; anything else than an illegal transition is an error of its own. */
function accepted<State extends string>(states: readonly State[], move: (from: State, to: State) => void): string[] {
  const moves: string[] = [];
  for (const from of states) {
    for (const to of states) {
      try {
        move(from, to);
        moves.push(`${from}>${to}`);
      } catch (error) {
        if (!(error instanceof IllegalTransitionError)) {
          throw error;
        }
      }
    }
  }
  return moves.toSorted();
}

/** What can be reached from a state, itself included. */
function reachable<State extends string>(from: State, table: Readonly<Record<State, readonly State[]>>): Set<State> {
  const found = new Set<State>([from]);
  for (const state of found) {
    table[state].forEach((next) => found.add(next));
  }
  return found;
}

describe('the table of execution plans', () => {
  it('N1: allows exactly the moves of the model, and refuses all others', () => {
    const allowed = accepted(planStates, assertPlanTransition);
    expect(allowed).toEqual([...legalPlanMoves].toSorted());
  });

  it('reaches every state from pending, and leaves stopped never', () => {
    expect([...reachable<PlanState>('pending', PLAN_TRANSITIONS)].toSorted()).toEqual(planStates.toSorted());
    expect(PLAN_TRANSITIONS.stopped).toEqual([]);
  });

  it('has no state but stopped without an exit', () => {
    expect(planStates.filter((state) => PLAN_TRANSITIONS[state].length === 0)).toEqual(['stopped']);
  });

  it('says in its error what moved, from where and to where', () => {
    expect(() => assertPlanTransition('stopped', 'running')).toThrow('an execution plan cannot go from stopped to running');
  });
});

describe('the tables of steps', () => {
  it.each(stepKinds)('allow a %s step exactly the moves of the model, and refuse all others', (kind) => {
    const allowed = accepted(stepStates, (from, to) => assertStepTransition(kind, from, to));
    expect(allowed).toEqual([...legalStepMoves[kind]].toSorted());
  });

  it('reach every state that a kind has', () => {
    expect([...reachable<StepStateName>('scheduling', STEP_TRANSITIONS.plan)].toSorted()).toEqual(
      ['scheduling', 'pending', 'running', 'success', 'error', 'cancelled'].toSorted(),
    );
    expect([...reachable<StepStateName>('pending', STEP_TRANSITIONS.run)].toSorted()).toEqual(
      ['pending', 'running', 'success', 'suspended', 'skipping', 'skipped', 'error'].toSorted(),
    );
    expect([...reachable<StepStateName>('pending', STEP_TRANSITIONS.finalize)].toSorted()).toEqual(
      ['pending', 'running', 'success', 'skipped', 'error'].toSorted(),
    );
  });

  it('have no exit from what is final', () => {
    const final: Record<StepKind, StepStateName[]> = {
      plan: ['success', 'error', 'cancelled', 'skipped', 'suspended'],
      run: ['skipped'],
      finalize: ['skipped', 'suspended'],
    };
    for (const kind of stepKinds) {
      expect(final[kind].filter((state) => STEP_TRANSITIONS[kind][state].length > 0)).toEqual([]);
    }
  });
});

describe('the result of a plan', () => {
  const tally = (...states: StepStateName[]): ReturnType<typeof emptyTally> => {
    const counts = emptyTally();
    states.forEach((state) => (counts[state] += 1));
    return counts;
  };

  it('EP14 EP15 is error with any step in error', () => {
    expect(resultOf(tally('error'))).toBe('error');
    expect(resultOf(tally('success', 'pending', 'skipped', 'error'))).toBe('error');
  });

  it('EP16 is pending while a step is open', () => {
    for (const open of ['scheduling', 'pending', 'running', 'suspended'] as const) {
      expect(resultOf(tally('success', open))).toBe('pending');
    }
    expect(resultOf(tally())).toBe('pending');
  });

  it('EP17 is warning when all went well but one that was skipped', () => {
    expect(resultOf(tally('success', 'success', 'skipped'))).toBe('warning');
    expect(resultOf(tally('success', 'skipping'))).toBe('warning');
  });

  it('is success when every step is', () => {
    expect(resultOf(tally('success', 'success'))).toBe('success');
  });

  it('takes cancelled before error, error before warning, warning before pending', () => {
    expect(resultOf(tally('cancelled', 'error', 'skipped', 'pending', 'success'))).toBe('cancelled');
    expect(resultOf(tally('error', 'skipped', 'pending', 'success'))).toBe('error');
    expect(resultOf(tally('skipped', 'pending', 'success'))).toBe('warning');
  });
});
