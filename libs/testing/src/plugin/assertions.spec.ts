import { beforeAll, describe, expect, it } from 'vitest';
import { defineAction, definePlugin, outputOf, planAction, planSelf } from '@dynflow/plugin';
import { z } from 'zod';
import {
  PlanAssertionError,
  PluginWorld,
  assertActionPlanned,
  assertActionPlannedWith,
  assertFinalizeFlow,
  assertFinalizePhase,
  assertOutput,
  assertRunFlow,
  assertRunPhase,
  assertVerdict,
  finalizeNames,
  readableInput,
  refuteActionPlanned,
  refuteFinalizePhase,
  refuteRunPhase,
  type PlanRecord,
} from '../plugin.js';

const Work = defineAction({ name: 'Work', input: z.object({ n: z.json() }), run: async ({ input }) => Promise.resolve({ n: input.n }) });
const Only = defineAction({
  name: 'Only',
  input: z.object({}),
  plan: [planAction('demo.Work', { n: 1 }, { as: 'one' }), planAction('demo.Work', { n: outputOf('one', 'n') })],
});
const Last = defineAction({
  name: 'Last',
  input: z.object({}),
  plan: [planAction('demo.Only', {}), planSelf({ why: 'to close' })],
  finalize: async () => Promise.resolve({}),
});
const plugin = definePlugin({
  name: 'demo',
  version: '1',
  settings: { section: 'demo', schema: z.object({}) },
  actions: [Work, Only, Last],
});

let plan: PlanRecord;
beforeAll(async () => {
  const world = await PluginWorld.start(plugin);
  plan = await world.run('demo.Last');
});

describe('an assertion on a plan', () => {
  it.each<[string, () => unknown]>([
    ['planned', () => assertActionPlanned(plan, 'demo.Work')],
    ['not planned', () => refuteActionPlanned(plan, 'demo.None')],
    ['planned with an input', () => assertActionPlannedWith(plan, 'demo.Work', { n: 1 })],
    ['planned with a reference', () => assertActionPlannedWith(plan, 'demo.Work', { n: 'demo.Work.output.n' })],
    ['planned with an input that fits', () => assertActionPlannedWith(plan, 'demo.Work', ({ n }) => n === 1)],
    ['run phase', () => assertRunPhase(plan, 'demo.Work', { n: 1 })],
    ['no run phase', () => refuteRunPhase(plan, 'demo.Last')],
    ['finalize phase', () => assertFinalizePhase(plan, 'demo.Last', { why: 'to close' })],
    ['no finalize phase', () => refuteFinalizePhase(plan, 'demo.Work')],
    ['verdict', () => assertVerdict(plan, 'stopped/success')],
    ['run flow', () => assertRunFlow(plan, ['S', 'demo.Work', 'demo.Work'])],
    ['finalize flow', () => assertFinalizeFlow(plan, ['demo.Last'])],
    ['output', () => assertOutput(plan, 'demo.Work', { n: 1 })],
  ])('holds: %s', (_what, assertion) => {
    expect(assertion).not.toThrow();
  });

  it.each<[string, () => unknown, string]>([
    ['planned', () => assertActionPlanned(plan, 'demo.None'), '"demo.None" was not planned'],
    ['not planned', () => refuteActionPlanned(plan, 'demo.Work'), '"demo.Work" was planned'],
    ['planned with another input', () => assertActionPlannedWith(plan, 'demo.Work', { n: 2 }), '[{"n":1},{"n":"demo.Work.output.n"}]'],
    ['planned with an input that does not fit', () => assertActionPlannedWith(plan, 'demo.Work', () => false), 'not with this input'],
    ['run phase of another input', () => assertRunPhase(plan, 'demo.Work', { n: 3 }), 'has another input'],
    ['no run phase', () => assertRunPhase(plan, 'demo.Only'), 'without a run phase'],
    ['run phase', () => refuteRunPhase(plan, 'demo.Work'), 'has a run phase'],
    ['no finalize phase', () => assertFinalizePhase(plan, 'demo.Work'), 'without a finalize phase'],
    ['finalize phase', () => refuteFinalizePhase(plan, 'demo.Last'), 'has a finalize phase'],
    ['verdict', () => assertVerdict(plan, 'paused/error'), 'is stopped/success, not paused/error'],
    ['run flow', () => assertRunFlow(plan, ['C', 'demo.Work', 'demo.Work']), 'the run flow is ["S"'],
    ['finalize flow', () => assertFinalizeFlow(plan, []), 'the finalize flow is ["demo.Last"]'],
    ['output', () => assertOutput(plan, 'demo.Work', { n: 9 }), 'no "demo.Work" has this output'],
  ])('does not hold: %s', (_what, assertion, message) => {
    expect(assertion).toThrow(PlanAssertionError);
    expect(assertion).toThrow(message);
  });

  it('says what it found and what it wanted, as runners like to show', () => {
    expect(() => assertOutput(plan, 'demo.Work', { n: 9 })).toThrow(
      expect.objectContaining({ name: 'AssertionError', actual: [{ n: 1 }, { n: 1 }], expected: { n: 9 } }),
    );
  });

  it('sees inputs and finalize phases as their author wrote them', () => {
    expect(readableInput(plan, { deep: [plan.action(4).input] })).toEqual({ deep: [{ n: 'demo.Work.output.n' }] });
    expect(finalizeNames(plan)).toEqual(['demo.Last']);
  });
});
