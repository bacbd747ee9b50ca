import { describe, expect, it } from 'vitest';
import { startSpecExecutor } from './spec-support/spec-executor.js';

describe('a step on its way through an executor', () => {
  it('is announced for, claimed, run, and reported with its output', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Greet',
      chunksAs: 'result',
      run: async (context) => {
        await context.write('stdout', `Hello ${String((context.input as { name: string }).name)}\n`);
        return { exit_status: 0 };
      },
    });
    const outcome = await owner.run('p1', { input: { name: 'Ada' } });
    expect(outcome).toEqual({ kind: 'done', output: { exit_status: 0 } });
    expect(owner.text('p1')).toBe('Hello Ada\n');
    expect(owner.manifests).toHaveLength(1);
    expect(owner.manifests[0]).toMatchObject({
      executor: 'one',
      site: 'default',
      slots: 4,
      health: { state: 'running' },
      declaration: { plugin: 'spec_plugin', actions: [{ name: 'spec_plugin.Greet', chunksAs: 'result' }] },
    });
    expect(owner.reports[0]).toMatchObject({ plan: 'p1', step: 2, attempt: 1, number: 1, claim: owner.claimOf('p1') });
  });
});
