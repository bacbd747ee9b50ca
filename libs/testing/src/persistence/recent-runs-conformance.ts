import { describe, expect, it } from 'vitest';
import { MOMENT, actionRow, changes, planRow, stepRow } from './rows.js';
import type { StoreWorld } from './store-world.js';

export function describeRecentRuns(world: () => StoreWorld): void {
  describe('recent runs', () => {
    it('are those of the named actions that began or ended since, with the times at which they began', async () => {
      const { plans } = world().database;
      const write = async (
        name: string,
        run: Partial<ReturnType<typeof stepRow>>,
        plan: Partial<ReturnType<typeof planRow>> = {},
      ): Promise<void> => {
        const row = planRow(plan);
        await plans.commit(
          changes({
            newPlans: [row],
            newActions: [actionRow(row.id, { name, version: 2, input: { host: run.queue ?? '' } })],
            newSteps: [stepRow(row.id, { id: 1, kind: 'plan' }), stepRow(row.id, { id: 2, kind: 'run', ...run })],
          }),
        );
      };
      const error = { errorClass: 'E', message: 'm', kind: 'final' } as const;
      const pastAttempts = [10, 20].map((ms, index) => ({ attempt: index + 1, endedAtMs: MOMENT + ms, error }));
      const stopped = { state: 'stopped', result: 'success' } as const;
      await write('a.Running', { state: 'running', startedAtMs: MOMENT, queue: 'running' });
      await write(
        'a.Ended',
        { state: 'success', startedAtMs: MOMENT - 9, endedAtMs: MOMENT + 5, queue: 'ended' },
        { ...stopped, endedAtMs: MOMENT + 6 },
      );
      await write('a.Ended', { state: 'success', startedAtMs: MOMENT - 9, endedAtMs: MOMENT - 5 }, { ...stopped, endedAtMs: MOMENT - 4 });
      await write('a.Ended', { state: 'success', startedAtMs: MOMENT - 9, endedAtMs: MOMENT - 5 });
      await write(
        'a.Retried',
        { state: 'error', error, startedAtMs: MOMENT, endedAtMs: MOMENT + 30, detail: { pastAttempts }, queue: 'retried' },
        { state: 'paused' },
      );
      await write('a.Other', { state: 'running', startedAtMs: MOMENT });
      await write('a.Running', { state: 'pending', startedAtMs: null });

      const found = (await plans.recentRuns?.(['a.Running', 'a.Ended', 'a.Retried'], MOMENT)) ?? [];

      expect(
        found.map(({ step, ...run }) => ({ ...run, id: step.slice(step.indexOf('/')) })).toSorted((a, b) => (a.action < b.action ? -1 : 1)),
      ).toEqual([
        { action: 'a.Ended', version: 2, input: { host: 'ended' }, id: '/2', begunAtMs: [MOMENT - 9] },
        { action: 'a.Retried', version: 2, input: { host: 'retried' }, id: '/2', begunAtMs: [MOMENT, MOMENT + 20, MOMENT + 30] },
        { action: 'a.Running', version: 2, input: { host: 'running' }, id: '/2', begunAtMs: [MOMENT] },
      ]);
    });
  });
}
