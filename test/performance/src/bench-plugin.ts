import { definePlugin, defineAction, planAction, sequence } from '@dynflow/plugin';
import { z } from 'zod';

const input = z.looseObject({});

/** A step that does nothing: what is measured is everything around it. */
const Step = defineAction({ name: 'Step', input, run: async () => Promise.resolve({}) });

const step = planAction('bench.Step', {});

/** Three steps, one after the other. */
const Three = defineAction({ name: 'Three', input, plan: [sequence(step, step, step)] });

/** The plugin that is measured with: it is hosted by an executor, like any other. */
export const benchPlugin = definePlugin({
  name: 'bench',
  version: '0.1.0',
  settings: { section: 'bench', schema: z.object({}) },
  actions: [Step, Three],
});
