import { concurrence, defineAction, defineLocalAction, definePlugin, planAction, sequence } from '@dynflow/plugin';
import { z } from 'zod';

const input = z.looseObject({});
const Sized = z.object({ steps: z.number().int().positive() });

/** A step that does nothing: what is measured is everything around it. */
const Step = defineAction({ name: 'Step', input, run: async () => Promise.resolve({}) });

const step = planAction('bench.Step', {});
const stepsOf = (count: number): (typeof step)[] => Array.from({ length: count }, () => step);

/** Three steps, one after the other. */
const Three = defineAction({ name: 'Three', input, plan: [sequence(step, step, step)] });

/** Any number of steps side by side. The executor is asked for the plan, as for every plan whose size depends on its input. */
const Wide = defineAction({ name: 'Wide', input: Sized, plan: ({ steps }) => [concurrence(...stepsOf(steps))] });

/** Any number of steps, one after the other. */
const Long = defineAction({ name: 'Long', input: Sized, plan: ({ steps }) => [sequence(...stepsOf(steps))] });

/** The plugin that is measured with: it is hosted by an executor, like any other. */
export const benchPlugin = definePlugin({
  name: 'bench',
  version: '0.1.0',
  settings: { section: 'bench', schema: z.object({}) },
  actions: [Step, Three, Wide, Long],
});

/** Sub-plans made in one transaction, as by the launchers for Foreman. */
const CHILDREN_A_TURN = 100;

/** Makes sub-plans of one step each and waits until all have ended. */
const Parent = defineLocalAction({
  name: 'Parent',
  input: z.object({ children: z.number().int().positive() }),
  run: (context) => {
    const { children } = context.input;
    const { event } = context;
    const madeBefore = typeof context.checkpoint === 'number' ? context.checkpoint : 0;
    const made = event?.kind === 'spawned' ? madeBefore + event.plans.length : madeBefore;
    if (event?.kind === 'subPlans' && made === children && event.counts.pending === 0) {
      return { kind: 'done', output: { failed: event.counts.failed } };
    }
    if (made < children && (event === undefined || event.kind === 'spawned')) {
      const count = Math.min(CHILDREN_A_TURN, children - made);
      context.spawn(Array.from({ length: count }, () => ({ action: 'bench.Step', input: {} })));
    }
    return { kind: 'suspended', checkpoint: made, waitingFor: 'its sub-plans' };
  },
});

/** The part of the benchmark that runs inside the gateway. */
export const benchParentPlugin = definePlugin({
  name: 'bench_parent',
  version: '0.1.0',
  settings: { section: 'bench_parent', schema: z.object({}) },
  gateway: { actions: [Parent] },
});
