import type { PlanFilter, PlanQuery, PlanSummary } from '@dynflow/contracts';
import type { PlanRow } from '@dynflow/engine';
import { StoreMismatchError, type Database } from '@dynflow/persistence';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MOMENT, actionRow, changes, chunkRow, planRow, stepRow } from './rows.js';

/** A database with an archive for what is deleted. */
export interface ArchivedWorld {
  readonly database: Database;
  readonly archiveDir: string;
  dispose(): Promise<void>;
}

/** What Dynflow's own tests ask of its persistence, asked of ours; their ids stand in the names. */
export function describeDynflowPersistence(name: string, makeWorld: () => Promise<ArchivedWorld>): void {
  describe(`Dynflow's persistence on ${name}`, () => {
    describe('finding plans', () => {
      let world: ArchivedWorld;
      let ids: string[];
      const labelsOf = async (query: Omit<PlanQuery, 'limit'>): Promise<string[]> =>
        (await world.database.reader.list({ limit: 99, direction: 'ascending', ...query })).map(({ label }) => label);

      beforeAll(async () => {
        world = await makeWorld();
        const plans = [
          planRow({ label: 'test1', state: 'paused', result: 'error' }),
          planRow({ label: 'test2', state: 'stopped', result: 'success' }),
          planRow({ label: 'test3', state: 'paused', result: 'warning' }),
          planRow({ label: 'test4', state: 'paused', result: 'error' }),
        ];
        ids = plans.map(({ id }) => id);
        await world.database.plans.commit(changes({ newPlans: plans }));
      });
      afterAll(async () => world.dispose());

      it('PE1: pages', async () => {
        const page = async (offset: number): Promise<PlanSummary[]> =>
          world.database.reader.list({ limit: 1, offset, direction: 'ascending' });
        expect((await page(0)).map(({ label }) => label)).toEqual(['test1']);
        expect((await page(1)).map(({ label }) => label)).toEqual(['test2']);
      });

      it('PE2: are ordered by state, ascending', async () => {
        expect(await labelsOf({ orderBy: 'state' })).toEqual(['test1', 'test3', 'test4', 'test2']);
      });

      it('PE3: or descending, equal ones by number', async () => {
        expect(await labelsOf({ orderBy: 'state', direction: 'descending' })).toEqual(['test2', 'test4', 'test3', 'test1']);
      });

      it('PE4: are found by label', async () => {
        expect(await labelsOf({ label: 'test1' })).toEqual(['test1']);
      });

      it('PE5: by state', async () => {
        expect(await labelsOf({ state: 'paused' })).toEqual(['test1', 'test3', 'test4']);
      });

      it('PE6: by another state', async () => {
        expect(await labelsOf({ state: 'stopped' })).toEqual(['test2']);
      });

      it('PE7: an empty list of states finds nothing', async () => {
        expect(await labelsOf({ state: [] })).toEqual([]);
      });

      it('PE8: a list of states finds all of them', async () => {
        expect(await labelsOf({ state: ['stopped', 'paused'] })).toEqual(['test1', 'test2', 'test3', 'test4']);
      });

      it('PE9: one word or a list with it is the same', async () => {
        expect(await labelsOf({ state: ['stopped'] })).toEqual(await labelsOf({ state: 'stopped' }));
        expect(await labelsOf({ label: ['test3'], state: ['paused'] })).toEqual(await labelsOf({ label: 'test3', state: 'paused' }));
        expect(await labelsOf({ label: ['test3'] })).toEqual(['test3']);
      });

      it('PE12: state and result of many are told at once, by the same filters', async () => {
        expect(await world.database.reader.states({ state: 'paused' })).toEqual(
          new Map([
            [ids[0], { state: 'paused', result: 'error' }],
            [ids[2], { state: 'paused', result: 'warning' }],
            [ids[3], { state: 'paused', result: 'error' }],
          ]),
        );
      });

      it('PE13: of an empty list there are none', async () => {
        expect(await world.database.reader.states({ id: [] })).toEqual(new Map());
        expect(await world.database.reader.states([])).toEqual(new Map());
      });

      it('PE15: counts follow the same filters', async () => {
        const filters: PlanFilter[] = [{ label: 'test1' }, { state: 'paused' }, { state: 'stopped' }, { state: [] }, {}];
        expect(await Promise.all(filters.map(async (filter) => world.database.reader.count(filter)))).toEqual([1, 3, 1, 0, 4]);
        expect(await world.database.reader.counts({ state: 'paused' })).toEqual([
          { state: 'paused', result: 'error', count: 2 },
          { state: 'paused', result: 'warning', count: 1 },
        ]);
      });

      it('PE28: a list loads what it shows, and nothing else', async () => {
        const [row] = await world.database.reader.list({ limit: 1 });
        expect(Object.keys(row ?? {}).toSorted()).toEqual(
          [
            ...['attributes', 'callerAction', 'callerPlan', 'createdAtMs', 'endedAtMs', 'executionTimeMs', 'id'],
            ...['label', 'number', 'result', 'startedAtMs', 'state', 'waitingFor'],
          ].toSorted(),
        );
      });

      it('PE43: all that is kept can be gone through', async () => {
        const all = await world.database.reader.list({ limit: 1_000, direction: 'ascending' });
        expect(all.map(({ id }) => id)).toEqual(ids);
        expect(await world.database.reader.plans(all.map(({ id }) => id))).toHaveLength(4);
      });
    });

    describe('delayed plans', () => {
      let world: ArchivedWorld;
      const schedule = { startAtMs: MOMENT, startBeforeMs: null, isFrozen: false, after: [] };
      const add = async (): Promise<PlanRow> => {
        const plan = planRow({ state: 'scheduled', schedule });
        await world.database.plans.commit(changes({ newPlans: [plan] }));
        return plan;
      };

      beforeAll(async () => {
        world = await makeWorld();
        await world.database.plans.commit(changes({ newPlans: [planRow({ state: 'scheduled' }), planRow({ schedule })] }));
      });
      afterAll(async () => world.dispose());

      it('PE10: are none without a schedule', async () => {
        expect(await world.database.reader.list({ limit: 9, isDelayed: true })).toEqual([]);
      });

      it('PE14: nor has any a state', async () => {
        expect(await world.database.reader.states({ isDelayed: true })).toEqual(new Map());
      });

      it('PE16: are counted: none, and one when there is one', async () => {
        expect(await world.database.reader.count({ isDelayed: true })).toBe(0);
        const { id } = await add();
        expect(await world.database.reader.count({ isDelayed: true })).toBe(1);
        await world.database.plans.commit(changes({ plans: [planRow({ id, state: 'running', schedule })] }));
        expect(await world.database.reader.count({ isDelayed: true })).toBe(0);
      });

      it('PE11: are found by their schedule', async () => {
        const { id } = await add();
        expect((await world.database.reader.list({ limit: 9, isDelayed: true })).map((one) => one.id)).toEqual([id]);
      });

      it('PE37: prerequisites are listed', async () => {
        const after = [planRow(), planRow()];
        const plan = planRow({ state: 'scheduled', schedule: { ...schedule, after: after.map(({ id }) => id) } });
        await world.database.plans.commit(changes({ newPlans: [...after, plan] }));
        expect(await world.database.reader.prerequisites(plan.id)).toEqual(after.map(({ id }) => id).toSorted());
      });
    });

    describe('loading', () => {
      let world: ArchivedWorld;
      const plan = planRow({ history: [{ timeMs: MOMENT, name: 'start execution', world: 'w' }], executionTimeMs: 0.25, label: 'ü 漢' });
      const action = actionRow(plan.id, {
        runStep: 1,
        input: { deep: { list: [1, { text: 'ü 漢' }] } },
        output: { deep: { number: -0.5 } },
      });
      const step = stepRow(plan.id, {
        state: 'error',
        error: { errorClass: 'E', message: 'no', kind: 'final' },
        startedAtMs: MOMENT,
        endedAtMs: MOMENT + 0.5,
        executionTimeMs: 0.25,
        queue: 'slow',
      });

      beforeAll(async () => {
        world = await makeWorld();
        await world.database.plans.commit(changes({ newPlans: [plan], newActions: [action], newSteps: [step] }));
      });
      afterAll(async () => world.dispose());

      it('PE17: an unknown plan is told as absent', async () => {
        expect(await world.database.plans.load('unknown')).toBeNull();
        expect(await world.database.reader.plans(['unknown', plan.id])).toHaveLength(1);
      });

      it('PE18: a plan has all its attributes', async () => {
        expect((await world.database.plans.load(plan.id))?.plan).toEqual(plan);
      });

      it('PE25: an unknown action is refused', async () => {
        const commit = async (): Promise<void> => world.database.plans.commit(changes({ actions: [actionRow(plan.id, { id: 9 })] }));
        await expect(commit()).rejects.toThrow(StoreMismatchError);
      });

      it('PE26: an action has its nested input and output', async () => {
        expect((await world.database.plans.load(plan.id))?.actions).toEqual([action]);
      });

      it('PE29: many plans have their actions loaded at once', async () => {
        const others = [planRow(), planRow()];
        const actions = others.flatMap(({ id }) => [actionRow(id), actionRow(id, { id: 2, input: { of: id } })]);
        await world.database.plans.commit(changes({ newPlans: others, newActions: actions }));
        const views = await world.database.reader.plans(others.map(({ id }) => id));
        expect(views.map(({ actions: own }) => own.map(({ id, input }) => [id, input]))).toEqual(
          others.map(({ id }) => [
            [1, {}],
            [2, { of: id }],
          ]),
        );
      });

      it('PE30: a step has all its attributes, its times to the fraction', async () => {
        expect((await world.database.plans.load(plan.id))?.steps).toEqual([step]);
      });

      it('PE53: text is text', async () => {
        const [view] = await world.database.reader.plans([plan.id]);
        expect([view?.label, view?.actions[0]?.input]).toEqual(['ü 漢', action.input]);
      });
    });

    describe('deleting', () => {
      let world: ArchivedWorld;
      const stopped = (more: Partial<PlanRow> = {}): PlanRow => planRow({ state: 'stopped', endedAtMs: MOMENT, ...more });
      /** A plan with an action, a step and a piece of output. */
      const add = async (plan: PlanRow): Promise<PlanRow> => {
        const { id } = plan;
        await world.database.plans.commit(
          changes({
            newPlans: [plan],
            newActions: [actionRow(id, { runStep: 1, input: { host: 'a, "b"\n' } })],
            newSteps: [stepRow(id)],
            chunks: [chunkRow(id)],
          }),
        );
        return plan;
      };
      /** What there is of a plan. Of one that is gone, what a new one of the same id would find. */
      const left = async (id: string): Promise<[actions: number, steps: number, chunks: number]> => {
        const stored = await world.database.plans.load(id);
        return [stored?.actions.length ?? 0, stored?.steps.length ?? 0, (await world.database.plans.chunks(id, 1)).length];
      };

      beforeAll(async () => {
        world = await makeWorld();
      });
      afterAll(async () => world.dispose());

      it('PE19: removes a plan', async () => {
        const { id } = await add(stopped());
        await world.database.deletePlans({ id });
        expect(await world.database.plans.load(id)).toBeNull();
      });

      it('PE20: by id says that it was one, and takes its actions and steps along', async () => {
        const { id } = await add(stopped());
        expect(await world.database.deletePlans({ id })).toBe(1);
        await world.database.plans.commit(changes({ newPlans: [planRow({ id })] }));
        expect(await left(id)).toEqual([0, 0, 0]);
      });

      it('PE21: takes nothing of other plans', async () => {
        const [one, other] = [await add(stopped()), await add(stopped())];
        await world.database.deletePlans({ id: one.id });
        expect(await left(other.id)).toEqual([1, 1, 1]);
      });

      it('PE22: by a filter says how many they were, and leaves the rest', async () => {
        for (let count = 0; count < 3; count += 1) {
          await add(stopped({ label: 'three' }));
        }
        const rest = [await add(planRow({ label: 'three' })), await add(stopped({ label: 'four' }))];
        expect(await world.database.deletePlans({ label: 'three' })).toBe(3);
        expect(await world.database.deletePlans({ state: 'running' })).toBe(0);
        expect(
          (await world.database.reader.list({ limit: 9, label: ['three', 'four'], direction: 'ascending' })).map(({ id }) => id),
        ).toEqual(rest.map(({ id }) => id));
      });

      it('PE27: leaves no action behind', async () => {
        const { id } = await add(stopped());
        await world.database.deletePlans({ id });
        await add(planRow({ id }));
        expect(await left(id)).toEqual([1, 1, 1]);
      });

      it('PE42: pieces of output are stored and counted, and go with their plan', async () => {
        const { id } = await add(stopped());
        await world.database.plans.commit(changes({ chunks: [chunkRow(id, { seq: 2 }), chunkRow(id, { seq: 3 })] }));
        expect(await left(id)).toEqual([1, 1, 3]);
        await world.database.deletePlans({ id });
        expect(await left(id)).toEqual([0, 0, 0]);
      });

      describe('with an archive', () => {
        let archived: ArchivedWorld;
        let gone: PlanRow[];
        const lines = async (file: string): Promise<string[]> => {
          const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
          return (await readFile(join(archived.archiveDir, day, file), 'utf8'))
            .split(/\n(?=plan-|number|plan_id|\d+,plan-|$)/)
            .filter(Boolean);
        };

        beforeAll(async () => {
          archived = world;
          gone = [];
          for (const number of [1, 2]) {
            gone.push(await add(stopped({ id: `plan-${number}`, label: 'archived', sealedSecrets: 'sealed' })));
          }
          await add(stopped({ id: 'plan-3', label: 'kept' }));
          await archived.database.deletePlans({ label: 'archived' });
        });

        it('PE23: writes plans, actions and steps, with the names of their columns', async () => {
          const [plans, actions, steps] = await Promise.all(['plans.csv', 'actions.csv', 'steps.csv'].map(lines));
          expect(plans?.[0]).toMatch(/^number,id,shard,label,state,result,/);
          expect(actions?.[0]).toMatch(/^plan_id,id,name,version,/);
          expect(steps?.[0]).toMatch(/^plan_id,id,kind,action_id,/);
          expect(plans?.[0]).not.toContain('sealed_secrets');
          expect(plans?.join('\n')).not.toContain(',sealed,');
        });

        it('PE24: writes exactly what was deleted', async () => {
          const [plans, actions, steps] = await Promise.all(['plans.csv', 'actions.csv', 'steps.csv'].map(lines));
          const archivedOf = (rows: string[] | undefined): string[] => (rows ?? []).filter((line) => /^(\d+,)?plan-/.test(line));
          expect(archivedOf(plans).map((line) => line.split(',')[1])).toEqual(gone.map(({ id }) => id));
          expect(archivedOf(actions).map((line) => line.split(',')[0])).toEqual(gone.map(({ id }) => id));
          expect(archivedOf(steps).map((line) => line.split(',')[0])).toEqual(gone.map(({ id }) => id));
          expect(actions?.find((line) => line.startsWith('plan-1'))).toContain('"{""host"":""a, \\""b\\""\\n""}"');
        });
      });
    });
  });
}
