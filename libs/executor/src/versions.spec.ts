import { expect, it } from 'vitest';
import { subjects } from '@dynflow/contracts';
import { definePlugin, type ActionDefinition } from '@dynflow/plugin';
import { z } from 'zod';
import { startSpecExecutor } from './spec-support/spec-executor.js';

it('an executor runs the version that was granted, and plans the one that is asked for', async () => {
  const action = (version: number): ActionDefinition => ({
    name: 'Greet',
    version,
    input: z.looseObject({}),
    plan: () => [{ kind: 'self', input: { version } }],
    run: async () => Promise.resolve({ version }),
  });
  const plugin = definePlugin({
    name: 'spec_plugin',
    version: '2.0.0',
    settings: { section: 'spec', schema: z.object({}) },
    actions: [action(1), action(2)],
  });
  const { owner, bus } = await startSpecExecutor({ name: 'Greet' }, { plugin });
  expect(owner.manifests[0]?.declaration.actions.map(({ version }) => version)).toEqual([1, 2]);

  owner.grants.set('new', { actionVersion: 2 });
  owner.grants.set('future', { actionVersion: 3 });
  for (const plan of ['old', 'new', 'future']) {
    await owner.token(plan);
  }
  expect(await owner.outcome('old')).toEqual({ kind: 'done', output: { version: 1 } });
  expect(await owner.outcome('new')).toEqual({ kind: 'done', output: { version: 2 } });
  expect(await owner.outcome('future')).toMatchObject({ kind: 'failed', error: { errorClass: 'VersionMismatchError', kind: 'retryable' } });

  const request = { type: 'plan', version: 1, action: 'spec_plugin.Greet', actionVersion: 2, input: {} };
  expect(await bus.request(subjects.plan('spec_plugin'), request, { timeoutMs: 5_000 })).toMatchObject({
    nodes: [{ kind: 'self', input: { version: 2 } }],
  });
});
