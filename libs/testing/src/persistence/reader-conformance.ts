import type { JsonObject } from '@dynflow/kernel';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MOMENT, actionRow, changes, chunkRow, planRow, smallPlan, stepRow } from './rows.js';
import type { StoreWorld } from './store-world.js';

export function describeReading(world: () => StoreWorld): void {
  describe('reader', () => {
    it('shows a plan with its actions, steps and output', async () => {
      const { plans, reader } = world().database;
      const caller = randomUUID();
      const plan = planRow({
        state: 'stopped',
        result: 'error',
        endedAtMs: MOMENT + 2_500,
        executionTimeMs: 40.5,
        stepCount: 4,
        callerPlan: caller,
        callerAction: 2,
        priority: 3,
        attributes: { host: 'a.example.com' },
        schedule: SCHEDULE,
        waitingFor: 'operator: maintenance',
        history: [{ timeMs: MOMENT, name: 'start execution', world: null }],
      });
      const error = { errorClass: 'E', message: 'no', kind: 'final' } as const;
      await plans.commit(
        changes({
          newPlans: [plan],
          newActions: [
            actionRow(plan.id, { callerPlan: caller, callerAction: 2, planStep: 1, output: { total: 1 } }),
            actionRow(plan.id, { id: 2, planStep: 2, runStep: 3, finalizeStep: 4, chunksAs: 'result', output: { exit_status: 0 } }),
          ],
          newSteps: [
            stepRow(plan.id, { id: 1, kind: 'plan', state: 'success' }),
            stepRow(plan.id, { id: 2, kind: 'plan', action: 2, state: 'success' }),
            stepRow(plan.id, {
              id: 3,
              action: 2,
              state: 'error',
              error,
              startedAtMs: MOMENT,
              endedAtMs: MOMENT + 1,
              executionTimeMs: 1,
              progress: 0.5,
              retries: 2,
              detail: { pastAttempts: [{ attempt: 1, endedAtMs: MOMENT, error }], checkpoint: { large: true } },
            }),
            stepRow(plan.id, { id: 4, kind: 'finalize', action: 2, waitingFor: 'an operator' }),
          ],
          chunks: [
            chunkRow(plan.id, { action: 2, seq: 1, kind: 'stdout', text: 'a\n' }),
            chunkRow(plan.id, { action: 2, seq: 2, kind: 'stderr', text: 'b\n', id: 7 }),
          ],
        }),
      );

      expect(await reader.plans([plan.id])).toEqual([
        {
          id: plan.id,
          label: 'example.Job',
          state: 'stopped',
          result: 'error',
          rootPlanStepId: 1,
          runFlow: plan.runFlow,
          finalizeFlow: plan.finalizeFlow,
          stepIds: [1, 2, 3, 4],
          startedAtMs: MOMENT,
          endedAtMs: MOMENT + 2_500,
          executionTimeMs: 40.5,
          realTimeMs: 2_500,
          history: plan.history,
          callerPlan: caller,
          callerAction: 2,
          priority: 3,
          attributes: { host: 'a.example.com' },
          schedule: SCHEDULE,
          waitingFor: 'operator: maintenance',
          progress: 0.25,
          fault: null,
          actions: [
            {
              id: 1,
              name: 'example.Job',
              planStepId: 1,
              runStepId: null,
              finalizeStepId: null,
              callerPlan: caller,
              callerAction: 2,
              input: {},
              output: { total: 1 },
            },
            {
              id: 2,
              name: 'example.Job',
              planStepId: 2,
              runStepId: 3,
              finalizeStepId: 4,
              callerPlan: null,
              callerAction: null,
              input: {},
              output: {
                exit_status: 0,
                result: [
                  { output_type: 'stdout', output: 'a\n', timestamp: MOMENT / 1000 },
                  { output_type: 'stderr', output: 'b\n', timestamp: MOMENT / 1000, id: 7 },
                ],
              },
            },
          ],
          steps: [
            { id: 1, kind: 'plan', state: 'success', action: 1, error: null, ...NOT_STARTED },
            { id: 2, kind: 'plan', state: 'success', action: 2, error: null, ...NOT_STARTED },
            {
              id: 3,
              kind: 'run',
              state: 'error',
              action: 2,
              error,
              startedAtMs: MOMENT,
              endedAtMs: MOMENT + 1,
              executionTimeMs: 1,
              waitingFor: null,
              progress: 0.5,
              retries: 2,
              pastAttempts: [{ attempt: 1, endedAtMs: MOMENT, error }],
            },
            { id: 4, kind: 'finalize', state: 'pending', action: 2, error: null, ...NOT_STARTED, waitingFor: 'an operator' },
          ],
        },
      ]);
    });

    it('tells how much of a plan is done, by the weights of its actions', async () => {
      const { plans, reader } = world().database;
      const [weighted, weightless, planOnly, waiting] = [
        planRow(),
        planRow(),
        planRow({ state: 'planned' }),
        planRow({ state: 'scheduled' }),
      ];
      await plans.commit(
        changes({
          newPlans: [weighted, weightless, planOnly, waiting],
          newActions: [
            actionRow(weighted.id, { id: 1, progressWeights: { run: 7, finalize: 1 } }),
            actionRow(weighted.id, { id: 2 }),
            actionRow(weightless.id, { id: 1, progressWeights: { run: 0, finalize: 0 } }),
            actionRow(planOnly.id),
            actionRow(waiting.id),
          ],
          newSteps: [
            stepRow(weighted.id, { id: 1, kind: 'plan', progress: 1 }),
            stepRow(weighted.id, { id: 2, kind: 'run', action: 1, progress: 0.5 }),
            stepRow(weighted.id, { id: 3, kind: 'finalize', action: 1, progress: 0 }),
            stepRow(weighted.id, { id: 4, kind: 'run', action: 2, progress: 1 }),
            stepRow(weighted.id, { id: 5, kind: 'finalize', action: 2, progress: 0.5 }),
            stepRow(weightless.id, { id: 1, kind: 'run', progress: 1 }),
            stepRow(weightless.id, { id: 2, kind: 'run', progress: 0 }),
            stepRow(planOnly.id, { kind: 'plan', progress: 1 }),
            stepRow(waiting.id, { kind: 'plan', progress: 0 }),
          ],
        }),
      );

      const views = await reader.plans([weighted, weightless, planOnly, waiting].map(({ id }) => id));

      expect(views.map(({ progress }) => progress)).toEqual([(7 * 0.5 + 1 + 0.5) / 10, 0.5, 1, 0]);
    });

    it('shows an empty list of output before there is any, and only where output is expected', async () => {
      const { plans, reader } = world().database;
      const plan = planRow();
      await plans.commit(
        changes({
          newPlans: [plan],
          newActions: [
            actionRow(plan.id, { id: 1, runStep: null, chunksAs: 'result' }),
            actionRow(plan.id, { id: 2, runStep: 1, chunksAs: 'result' }),
            actionRow(plan.id, { id: 3, runStep: 2, chunksAs: null }),
          ],
        }),
      );

      const [view] = await reader.plans([plan.id]);
      expect(view?.actions.map(({ output }) => output)).toEqual([{}, { result: [] }, {}]);
    });

    it('keeps the order asked, gives each plan once, and leaves out what there is not', async () => {
      const { plans, reader } = world().database;
      const made = Array.from({ length: 250 }, () => smallPlan());
      for (const { changes: one } of made) {
        await plans.commit(one);
      }
      const ids = made.map(({ id }) => id).reverse();

      const views = await reader.plans(['nobody', ...ids, ...ids.slice(0, 3)]);

      expect(views.map(({ id }) => id)).toEqual(ids);
      expect(views.every(({ actions, steps }) => actions.length === 1 && steps.length === 1)).toBe(true);
      expect(await reader.plans([])).toEqual([]);
    });

    it('says what is wrong with a plan whose rows do not fit together, and shows the rest of it and all others', async () => {
      const { plans, reader } = world().database;
      const [short, stray, whole] = [
        planRow({ stepCount: 3, history: [{ timeMs: MOMENT, name: 'x', world: null }] }),
        planRow(),
        planRow(),
      ];
      await plans.commit(
        changes({
          newPlans: [short, stray, whole],
          newActions: [actionRow(short.id), actionRow(whole.id)],
          newSteps: [stepRow(short.id), stepRow(stray.id), stepRow(whole.id)],
        }),
      );

      const views = await reader.plans([short.id, stray.id, whole.id]);

      expect(views.map(({ fault }) => fault)).toEqual([
        'it has 3 steps, and 1 are stored',
        'step 1 is of action 1, which is not stored',
        null,
      ]);
      expect(views[0]).toMatchObject({ id: short.id, label: short.label, state: 'running', history: short.history });
      expect(await reader.list({ limit: 9 })).toHaveLength(3);
    });

    it('tells states and results', async () => {
      const { plans, reader } = world().database;
      const running = smallPlan();
      const stopped = smallPlan({ state: 'stopped', result: 'success' });
      await plans.commit(running.changes);
      await plans.commit(stopped.changes);

      expect(await reader.states([stopped.id, 'nobody', running.id])).toEqual(
        new Map([
          [running.id, { state: 'running', result: 'pending' }],
          [stopped.id, { state: 'stopped', result: 'success' }],
        ]),
      );
      expect(await reader.states([])).toEqual(new Map());
    });

    it('counts by state and altogether', async () => {
      const { plans, reader } = world().database;
      expect(await reader.count()).toBe(0);
      for (const state of ['running', 'running', 'stopped'] as const) {
        await plans.commit(smallPlan({ state }).changes);
      }

      expect(await Promise.all(['running', 'stopped', 'paused', "no' such"].map(async (state) => reader.count(state)))).toEqual([
        2, 1, 0, 0,
      ]);
      expect(await reader.count()).toBe(3);
    });

    it('pages through a list without loss or repetition while plans are made', async () => {
      const { plans, reader } = world().database;
      const made = Array.from({ length: 7 }, () => planRow());
      await plans.commit(changes({ newPlans: made }));
      const ids = made.map(({ id }) => id);

      const first = await reader.list({ limit: 3 });
      await plans.commit(smallPlan().changes);
      const second = await reader.list({ limit: 10, after: first[2]?.number ?? 0 });

      expect([...first, ...second].map(({ id }) => id)).toEqual([...ids].reverse());
      expect((await reader.list({ limit: 2, direction: 'ascending' })).map(({ id }) => id)).toEqual(ids.slice(0, 2));
      expect((await reader.list({ limit: 2, direction: 'ascending', offset: 5 })).map(({ id }) => id)).toEqual(ids.slice(5));
      const third = await reader.list({
        limit: 1,
        direction: 'ascending',
        after: (await reader.list({ limit: 2, direction: 'ascending' }))[1]?.number ?? 0,
      });
      expect(third.map(({ id }) => id)).toEqual([ids[2]]);
    });

    it('lists by state, result, label and parent', async () => {
      const { plans, reader } = world().database;
      const parent = smallPlan({ label: 'parent' });
      const child = smallPlan({
        label: "child's",
        state: 'stopped',
        result: 'error',
        callerPlan: parent.id,
        callerAction: 1,
        endedAtMs: MOMENT + 1,
      });
      await plans.commit(parent.changes);
      await plans.commit(child.changes);
      const listed = async (query: object): Promise<string[]> => (await reader.list({ limit: 9, ...query })).map(({ label }) => label);

      expect(await listed({ state: 'stopped' })).toEqual(["child's"]);
      expect(await listed({ result: 'pending' })).toEqual(['parent']);
      expect(await listed({ label: "child's" })).toEqual(["child's"]);
      expect(await listed({ callerPlan: parent.id })).toEqual(["child's"]);
      expect(await listed({ state: 'stopped', label: 'parent' })).toEqual([]);
      expect((await reader.list({ limit: 1, label: "child's" }))[0]).toEqual({
        number: expect.any(Number),
        id: child.id,
        label: "child's",
        state: 'stopped',
        result: 'error',
        createdAtMs: MOMENT,
        startedAtMs: MOMENT,
        endedAtMs: MOMENT + 1,
        executionTimeMs: 0,
        callerPlan: parent.id,
        callerAction: 1,
        waitingFor: null,
        attributes: {},
      });
    });

    it('sees every commit while commits go on, whole', async () => {
      const { plans, reader } = world().database;
      const made = Array.from({ length: 60 }, () => smallPlan());
      const writing = (async () => {
        for (const { id, changes: one } of made) {
          await plans.commit(one);
          await plans.commit(changes({ steps: [stepRow(id, { state: 'success' })], chunks: [chunkRow(id)] }));
          // Lets readers in, also where the store is synchronous.
          await new Promise(setImmediate);
        }
      })();
      let reads = 0;
      const reading = (async () => {
        for (let seen = 0; seen < made.length; reads += 1) {
          const views = await reader.plans(made.map(({ id }) => id));
          seen = views.filter(({ steps }) => steps[0]?.state === 'success').length;
          for (const { actions, steps } of views) {
            const lines = ((actions[0]?.output['result'] ?? []) as JsonObject[]).map(({ output }) => output);
            expect(lines).toEqual(steps[0]?.state === 'success' ? ['hello\n'] : []);
          }
          await new Promise(setImmediate);
        }
      })();

      await Promise.all([writing, reading]);
      expect(reads).toBeGreaterThan(0);
    });
  });
}

const NOT_STARTED = { startedAtMs: null, endedAtMs: null, executionTimeMs: 0, waitingFor: null, progress: 0, retries: 0 };
const SCHEDULE = { startAtMs: MOMENT, startBeforeMs: null, isFrozen: false, after: ['another'] };
