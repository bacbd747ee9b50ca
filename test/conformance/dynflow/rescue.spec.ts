import { describe, expect, it } from 'vitest';
import type { RescueStrategy } from '@dynflow/contracts';
import type { PlanRecord } from '@dynflow/testing/engine';
import { breakable, child, concurrence, sequence, threeSteps, type BreakableWorld } from './stories.js';

/** What fails: a run or a finalize step of one action, or of two children of a composite with these strategies. */
interface Failure {
  readonly phase: 'run' | 'finalize';
  readonly strategies: readonly RescueStrategy[];
  /** What failed may have had an effect: nobody but an operator can decide. */
  readonly isOutcomeUnknown?: boolean;
}

/** Runs a plan in which all these fail, while another action beside them succeeds. */
async function failing({ phase, strategies, isOutcomeUnknown = false }: Failure): Promise<PlanRecord> {
  const { world } = breakable();
  const names = strategies.map((_, index) => `demo.Failing${index}`);
  for (const [index, rescueStrategy] of strategies.entries()) {
    world.actions.executor(`demo.Failing${index}`, { rescueStrategy, finalize: { kind: 'run' } }, (grant) =>
      grant.phase === phase
        ? {
            kind: 'failed',
            error: { errorClass: 'Broken', message: 'broken', kind: isOutcomeUnknown ? 'unknown' : 'final' },
            output: { failed: phase },
          }
        : { kind: 'done', output: { [grant.phase]: 'kept' } },
    );
  }
  world.actions.executor('demo.Well', {});
  world.actions.composite('demo.Root', [concurrence(...names.map((name) => child(name)), child('demo.Well'))]);
  const plan = await world.trigger('demo.Root');
  await world.runAll();
  return world.plan(plan);
}

describe('the strategy of a plan that failed', () => {
  it('RE1: is Skip when the failed run step is of a Skip action', async () => {
    expect((await failing({ phase: 'run', strategies: ['Skip'] })).states).toContain('skipped');
  });

  it('RE3: is Skip when the failed finalize step is of a Skip action', async () => {
    const plan = await failing({ phase: 'finalize', strategies: ['Skip'] });
    expect(plan.steps.filter(({ kind }) => kind === 'finalize').map(({ state }) => state)).toEqual(['skipped']);
  });

  it('RE5: is Skip when all that failed say so', async () => {
    const plan = await failing({ phase: 'run', strategies: ['Skip', 'Skip'] });
    expect(plan.steps.filter(({ kind, state }) => kind === 'run' && state === 'skipped')).toHaveLength(2);
  });

  it('RE7: is Skip when all whose finalize failed say so', async () => {
    const plan = await failing({ phase: 'finalize', strategies: ['Skip', 'Skip'] });
    expect(plan.steps.filter(({ kind, state }) => kind === 'finalize' && state === 'skipped')).toHaveLength(2);
  });

  it('RE9: is Pause as soon as one of them says so', async () => {
    expect((await failing({ phase: 'run', strategies: ['Skip', 'Pause'] })).verdict).toBe('paused/error');
    expect((await failing({ phase: 'run', strategies: ['Skip', 'Fail'] })).verdict).toBe('paused/error');
  });

  it('RE11: is Fail when all say so', async () => {
    expect((await failing({ phase: 'run', strategies: ['Fail', 'Fail'] })).verdict).toBe('stopped/error');
  });
});

describe('what may have had an effect on a host is not rescued by itself, but paused', () => {
  it('RE2: although its action says Skip', async () => {
    expect((await failing({ phase: 'run', strategies: ['Skip'], isOutcomeUnknown: true })).verdict).toBe('paused/error');
  });

  it('RE4: although its action says Skip, in finalize', async () => {
    expect((await failing({ phase: 'finalize', strategies: ['Skip'], isOutcomeUnknown: true })).verdict).toBe('paused/error');
  });

  it('RE6: although all that failed say Skip', async () => {
    expect((await failing({ phase: 'run', strategies: ['Skip', 'Skip'], isOutcomeUnknown: true })).verdict).toBe('paused/error');
  });

  it('RE8: although all whose finalize failed say Skip', async () => {
    expect((await failing({ phase: 'finalize', strategies: ['Skip', 'Skip'], isOutcomeUnknown: true })).verdict).toBe('paused/error');
  });

  it('RE10: although it says Fail', async () => {
    expect((await failing({ phase: 'run', strategies: ['Fail'], isOutcomeUnknown: true })).verdict).toBe('paused/error');
  });

  it('RE12: although all say Fail', async () => {
    expect((await failing({ phase: 'run', strategies: ['Fail', 'Fail'], isOutcomeUnknown: true })).verdict).toBe('paused/error');
  });
});

describe('Skip', () => {
  it('RE13: of a run step ends the plan in a warning', async () => {
    expect((await failing({ phase: 'run', strategies: ['Skip'] })).verdict).toBe('stopped/warning');
  });

  it('RE15: of a finalize step ends it in a warning and keeps the output of the run', async () => {
    const plan = await failing({ phase: 'finalize', strategies: ['Skip'] });
    expect(plan.verdict).toBe('stopped/warning');
    expect(plan.output(2)).toEqual({ run: 'kept', failed: 'finalize' });
  });

  it('RE16: of several run steps ends it in a warning, and keeps what they put out as they failed', async () => {
    const plan = await failing({ phase: 'run', strategies: ['Skip', 'Skip'] });
    expect(plan.verdict).toBe('stopped/warning');
    expect([2, 3].map((action) => plan.output(action))).toEqual([{ failed: 'run' }, { failed: 'run' }]);
  });

  it('RE17: of several finalize steps ends it in a warning and keeps the outputs of the runs', async () => {
    const plan = await failing({ phase: 'finalize', strategies: ['Skip', 'Skip'] });
    expect(plan.verdict).toBe('stopped/warning');
    expect([2, 3].map((action) => plan.output(action)['run'])).toEqual(['kept', 'kept']);
  });

  it('RE18: runs nothing again, so that it cannot fail for ever; what fails after it is skipped in its turn', async () => {
    const { world, broken, ran } = threeSteps({ rescueStrategy: 'Skip' });
    broken.add('demo.A run').add('demo.C run');
    const plan = await world.trigger('demo.Root');
    await world.runAll();
    expect(ran).toEqual(['demo.A run', 'demo.B run', 'demo.C run']);
    expect(world.plan(plan).verdict).toBe('stopped/warning');
  });
});

describe('Pause and Fail', () => {
  async function broken(rescueStrategy: RescueStrategy): Promise<PlanRecord> {
    const story: BreakableWorld = breakable();
    for (const name of ['demo.A', 'demo.B', 'demo.C']) {
      story.declare(name, { rescueStrategy, finalize: { kind: 'run' } });
    }
    story.world.actions.composite('demo.Root', [sequence(child('demo.A'), child('demo.B'), child('demo.C'))]);
    story.broken.add('demo.B run');
    const plan = await story.world.trigger('demo.Root');
    await story.world.runAll();
    return story.world.plan(plan);
  }

  it('RE19: Pause leaves the plan paused in error', async () => {
    expect((await broken('Pause')).verdict).toBe('paused/error');
  });

  it('RE20: Pause leaves a history of start and pause', async () => {
    expect((await broken('Pause')).history).toEqual(['start execution', 'pause execution']);
  });

  it('RE21: Fail stops the plan in error', async () => {
    expect((await broken('Fail')).verdict).toBe('stopped/error');
  });

  it('RE22: Fail leaves what had not begun as it was', async () => {
    const { states } = await broken('Fail');
    const countOf = (state: string): number => states.filter((each) => each === state).length;
    expect({ success: countOf('success'), error: countOf('error'), pending: countOf('pending') }).toEqual({
      success: 5,
      error: 1,
      pending: 4,
    });
  });

  it('RE23: Fail leaves a history of start and finish', async () => {
    expect((await broken('Fail')).history).toEqual(['start execution', 'finish execution']);
  });
});
