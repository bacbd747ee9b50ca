import type { ActionRow, ChunkRow, PlanRow, StepRow } from '@dynflow/engine';
import { DuplicatePlanError, StoreMismatchError } from '@dynflow/persistence';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MOMENT, actionRow, changes, chunkRow, planRow, smallPlan, stepRow } from './rows.js';
import type { StoreWorld } from './store-world.js';

const TEXT = 'ü – 漢字 – 🦄 – "quoted" \\ \n\t\u0000 end';

/** Every field with something in it. */
function fullPlan(): { plan: PlanRow; action: ActionRow; step: StepRow; chunk: ChunkRow } {
  const plan = planRow({
    shard: 0,
    label: 'Läufe – 漢',
    state: 'running',
    result: 'warning',
    runFlow: ['S', 2, ['C', 4, 6]],
    finalizeFlow: ['S', 7],
    phase: 'finalize',
    stepCount: 7,
    history: [
      { timeMs: MOMENT, name: 'start execution', world: null },
      { timeMs: MOMENT + 0.5, name: 'pause execution', world: 'gateway-1' },
    ],
    createdAtMs: MOMENT - 1,
    startedAtMs: MOMENT,
    endedAtMs: MOMENT + 1.25,
    executionTimeMs: 0.125,
    callerPlan: randomUUID(),
    callerAction: 3,
    isExternal: true,
    concurrencyLimit: 5,
    isCancelRequested: true,
    sealedSecrets: 'eyJhbGciOiJkaXIifQ..abc',
    request: { action: 'example.Job', input: { text: TEXT } },
    priority: -2,
    attributes: { host: 'a.example.com', external_id: TEXT },
    idempotencyKey: `launch ${randomUUID()}`,
    schedule: { startAtMs: MOMENT, startBeforeMs: MOMENT + 0.5, isFrozen: true, after: [randomUUID(), 'another'] },
    heldBecause: 'maintenance – 漢',
    isHalted: true,
    waitingFor: 'operator – 漢',
  });
  const action = actionRow(plan.id, {
    name: 'example.Job',
    version: 4,
    planStep: 1,
    runStep: 2,
    finalizeStep: 7,
    callerPlan: plan.callerPlan,
    callerAction: 3,
    input: { text: TEXT, deep: { list: [1, null, false, 1.5, { a: [] }], empty: {} }, none: null },
    references: [{ at: ['deep', 'host'], step: 4, action: 2, subkeys: ['facts', 'ip'] }],
    output: { text: TEXT, nothing: null, number: -0.1 },
    chunksAs: 'result',
    progressWeights: { run: 2.5, finalize: 0 },
  });
  const step = stepRow(plan.id, {
    id: 2,
    kind: 'run',
    action: 1,
    queue: 'remote_execution',
    state: 'error',
    attempt: 3,
    executor: 'executor-1',
    waitingFor: 'Foreman – 漢',
    wakeAtMs: MOMENT + 1000,
    error: { errorClass: 'SomeError', message: TEXT, code: 'DYN_SOME', kind: 'unknown' },
    startedAtMs: MOMENT,
    endedAtMs: MOMENT + 2,
    executionTimeMs: 1.75,
    progress: 0.625,
    retries: 2,
    detail: {
      claim: { id: randomUUID(), executor: 'executor-1', startId: randomUUID(), lastReport: 9, tookEvents: 2 },
      checkpoint: { offset: 12, text: TEXT },
      events: [null, 'text', { kind: 'external' }],
      isDue: true,
      isRetrying: true,
      isCancelRequested: true,
      nextSeq: 12,
      outputBytes: 4096,
      invokedAtMs: MOMENT,
    },
  });
  return { plan, action, step, chunk: chunkRow(plan.id, { seq: 11, kind: 'stderr', text: TEXT, id: 'f1e2' }) };
}

export function describeCommits(world: () => StoreWorld): void {
  describe('commit and load', () => {
    it('gives back every field as it was', async () => {
      const { plans } = world().database;
      const { plan, action, step, chunk } = fullPlan();

      await plans.commit(changes({ newPlans: [plan], newActions: [action], newSteps: [step], chunks: [chunk] }));

      expect(await plans.load(plan.id)).toEqual({ plan, actions: [action], steps: [step] });
      const { plan: _plan, action: _action, ...stored } = chunk;
      expect(await plans.chunks(plan.id, 1)).toEqual([stored]);
    });

    it('gives back null and absence as they were', async () => {
      const { plans } = world().database;
      const plan = planRow({ startedAtMs: null });
      const action = actionRow(plan.id);
      const step = stepRow(plan.id, { error: { errorClass: 'E', message: '', kind: 'final', code: undefined } });
      const chunk = chunkRow(plan.id, { text: '' });

      await plans.commit(
        changes({
          newPlans: [plan],
          newActions: [action],
          newSteps: [step],
          chunks: [chunk, chunkRow(plan.id, { seq: 2, id: 0 }), chunkRow(plan.id, { seq: 3, id: '' })],
        }),
      );

      const stored = await plans.load(plan.id);
      expect(stored).toEqual({ plan, actions: [action], steps: [step] });
      expect(Object.keys(stored?.steps[0]?.error ?? {}).sort()).toEqual(['errorClass', 'kind', 'message']);
      const chunks = await plans.chunks(plan.id, 1);
      expect(chunks.map((one) => ('id' in one ? one.id : 'absent'))).toEqual(['absent', 0, '']);
      expect(chunks[0]?.text).toBe('');
    });

    it('changes what may change, and nothing else', async () => {
      const { plans } = world().database;
      const full = fullPlan();
      const before = planRow({ id: full.plan.id });
      const other = smallPlan();
      await plans.commit(other.changes);
      await plans.commit(
        changes({
          newPlans: [before],
          newActions: [actionRow(before.id), actionRow(before.id, { id: 2 })],
          newSteps: [stepRow(before.id, { id: 1 }), stepRow(before.id, { id: 2 })],
        }),
      );
      const untouched = await plans.load(other.id);

      await plans.commit(changes({ plans: [full.plan], actions: [full.action], steps: [full.step] }));

      const { state, result, phase, history, startedAtMs, endedAtMs, executionTimeMs, isCancelRequested, sealedSecrets } = full.plan;
      const { schedule, heldBecause, isHalted, waitingFor } = full.plan;
      expect(await plans.load(before.id)).toEqual({
        plan: {
          ...before,
          ...{ state, result, phase, history, startedAtMs, endedAtMs, executionTimeMs, isCancelRequested, sealedSecrets },
          ...{ schedule, heldBecause, isHalted, waitingFor },
        },
        actions: [actionRow(before.id, { output: full.action.output }), actionRow(before.id, { id: 2 })],
        steps: [stepRow(before.id), { ...full.step, kind: 'run', action: 1, queue: 'default' }],
      });
      expect(await plans.load(other.id)).toEqual(untouched);
    });

    it('writes the flows of a plan whose planning ends later', async () => {
      const { plans } = world().database;
      const inPlanning = planRow({ state: 'planning', runFlow: ['S'], stepCount: 0, request: { action: 'example.Job', input: {} } });
      await plans.commit(changes({ newPlans: [inPlanning] }));
      const planned = { ...inPlanning, state: 'planned' as const, runFlow: ['S', 2], finalizeFlow: ['S', 3], stepCount: 3, request: null };

      await plans.commit(
        changes({
          plans: [planned],
          newActions: [actionRow(planned.id)],
          newSteps: [1, 2, 3].map((id) => stepRow(planned.id, { id })),
        }),
      );

      const stored = await plans.load(planned.id);
      expect(stored?.plan).toEqual(planned);
      expect(stored?.steps.map(({ id }) => id)).toEqual([1, 2, 3]);
    });

    it('writes over the action and step of a plan that was stored before it was planned', async () => {
      const { plans } = world().database;
      const scheduled = planRow({ state: 'scheduled', runFlow: ['S'], stepCount: 1, request: { action: 'example.Job', input: {} } });
      const untouched = smallPlan();
      await plans.commit(untouched.changes);
      await plans.commit(
        changes({
          newPlans: [scheduled],
          newActions: [actionRow(scheduled.id, { input: { asked: true } })],
          newSteps: [stepRow(scheduled.id, { kind: 'plan', state: 'pending' })],
        }),
      );
      const planned = { ...scheduled, state: 'running' as const, runFlow: ['S', 2], stepCount: 2, request: null };
      const rows = {
        actions: [
          actionRow(scheduled.id, { version: 2, input: { asked: 1 }, runStep: 2, references: [], output: { a: 1 } }),
          actionRow(scheduled.id, { id: 2, planStep: 3 }),
        ],
        steps: [
          stepRow(scheduled.id, { kind: 'plan', state: 'success', endedAtMs: MOMENT, progress: 1 }),
          stepRow(scheduled.id, { id: 2 }),
          stepRow(scheduled.id, { id: 3, kind: 'plan', action: 2 }),
        ],
      };
      const other = smallPlan();

      await plans.commit(
        changes({
          newPlans: other.changes.newPlans,
          plans: [planned],
          newActions: [...rows.actions, ...other.changes.newActions],
          newSteps: [...rows.steps, ...other.changes.newSteps],
        }),
      );

      expect(await plans.load(scheduled.id)).toEqual({ plan: planned, ...rows });
      expect((await plans.load(other.id))?.steps).toEqual(other.changes.newSteps);
      expect((await plans.load(untouched.id))?.actions).toEqual(untouched.changes.newActions);
    });

    it('takes a commit without rows', async () => {
      const { plans } = world().database;
      await plans.commit(changes({}));
      expect(await plans.loadUnfinished()).toEqual([]);
    });

    it('has no plan that nobody made', async () => {
      const { plans } = world().database;
      expect(await plans.load('nobody')).toBeNull();
      expect(await plans.chunks('nobody', 1)).toEqual([]);
    });

    it('holds a megabyte of output in a chunk and in an output', async () => {
      const { plans } = world().database;
      const { id, changes: made } = smallPlan();
      await plans.commit(made);
      const text = '漢'.repeat(350_000);

      await plans.commit(changes({ actions: [actionRow(id, { output: { text } })], chunks: [chunkRow(id, { text })] }));

      expect((await plans.load(id))?.actions[0]?.output).toEqual({ text });
      expect((await plans.chunks(id, 1))[0]?.text).toBe(text);
    });

    it('holds ten thousand steps in a plan, in their order', async () => {
      const { plans } = world().database;
      const plan = planRow({ runFlow: ['C', ...Array.from({ length: 10_000 }, (_, index) => index + 1)], stepCount: 10_000 });
      const ids = Array.from({ length: 10_000 }, (_, index) => index + 1);
      await plans.commit(
        changes({
          newPlans: [plan],
          // Not in the order of their ids: the store promises that order by itself.
          newActions: ids.map((id) => actionRow(plan.id, { id })).reverse(),
          newSteps: ids.map((id) => stepRow(plan.id, { id, action: id })).reverse(),
        }),
      );

      await plans.commit(changes({ steps: ids.map((id) => stepRow(plan.id, { id, action: id, state: 'success', attempt: id })) }));

      const stored = await plans.load(plan.id);
      expect(stored?.plan.runFlow).toEqual(plan.runFlow);
      expect(stored?.actions.map(({ id }) => id)).toEqual(ids);
      expect(stored?.steps.map(({ id, attempt, state }) => ({ id, attempt, state }))).toEqual(
        ids.map((id) => ({ id, attempt: id, state: 'success' })),
      );
    }, 30_000);
  });

  describe('atomicity', () => {
    it('refuses a plan that exists, and all that came with it', async () => {
      const { plans } = world().database;
      const first = smallPlan();
      await plans.commit(first.changes);
      const second = smallPlan();
      const again = smallPlan({ id: first.id, label: 'another' });

      const commit = async (): Promise<void> =>
        plans.commit(
          changes({
            newPlans: [...second.changes.newPlans, ...again.changes.newPlans],
            newActions: second.changes.newActions,
            newSteps: second.changes.newSteps,
          }),
        );

      await expect(commit()).rejects.toThrow(DuplicatePlanError);
      expect(await plans.existing([first.id, second.id])).toEqual(new Set([first.id]));
      expect((await plans.load(first.id))?.plan.label).toBe('example.Job');
    });

    it.each([
      ['a plan', (plan: string) => changes({ plans: [planRow({ id: plan })] })],
      ['an action', (plan: string) => changes({ actions: [actionRow(plan)] })],
      ['a step', (plan: string) => changes({ steps: [stepRow(plan)] })],
      ["an unknown plan's chunk", (plan: string) => changes({ chunks: [chunkRow(plan)] })],
    ])('leaves nothing of a commit that changes %s that is not there', async (_what, missing) => {
      const { plans, reader } = world().database;
      const before = smallPlan();
      await plans.commit(before.changes);
      const made = smallPlan();
      const fault = missing(randomUUID());

      const commit = async (): Promise<void> =>
        plans.commit({
          ...made.changes,
          plans: [planRow({ id: before.id, state: 'stopped' }), ...fault.plans],
          actions: [actionRow(before.id, { output: { changed: true } }), ...fault.actions],
          steps: [stepRow(before.id, { state: 'success' }), ...fault.steps],
          chunks: [chunkRow(before.id), ...fault.chunks],
        });

      await expect(commit()).rejects.toThrow(StoreMismatchError);
      expect(await plans.load(made.id)).toBeNull();
      expect(await plans.load(before.id)).toEqual({
        plan: before.changes.newPlans[0],
        actions: before.changes.newActions,
        steps: before.changes.newSteps,
      });
      expect(await plans.chunks(before.id, 1)).toEqual([]);
      // And the next one is as good as ever.
      await plans.commit(made.changes);
      expect(await reader.count()).toBe(2);
    });
  });

  describe('existing', () => {
    it('tells which of many ids exist', async () => {
      const { plans } = world().database;
      const made = Array.from({ length: 300 }, () => smallPlan());
      for (const { changes: one } of made) {
        await plans.commit(one);
      }
      const ids = made.map(({ id }) => id);
      const others = Array.from({ length: 3_000 }, () => randomUUID());

      expect(await plans.existing([...ids, ...others, 'it\'s "odd"'])).toEqual(new Set(ids));
      expect(await plans.existing([])).toEqual(new Set());
    });
  });

  describe('verdicts', () => {
    it('tell state and result of those plans that exist', async () => {
      const { plans } = world().database;
      const [running, halted] = [smallPlan({ state: 'running' }), smallPlan({ state: 'stopped', result: 'halted', isHalted: true })];
      await plans.commit(running.changes);
      await plans.commit(halted.changes);

      expect(await plans.verdicts([halted.id, randomUUID(), running.id, "it's odd"])).toEqual(
        new Map([
          [running.id, { state: 'running', result: 'pending' }],
          [halted.id, { state: 'stopped', result: 'halted' }],
        ]),
      );
      expect(await plans.verdicts([])).toEqual(new Map());
    });
  });

  describe('idempotency keys', () => {
    it('name the plan that was made with them, whatever became of it', async () => {
      const { plans } = world().database;
      const [first, second] = [smallPlan({ idempotencyKey: 'a' }), smallPlan({ idempotencyKey: "b's", state: 'stopped' })];
      await plans.commit(first.changes);
      await plans.commit(second.changes);
      await plans.commit(smallPlan().changes);

      expect(await plans.byIdempotencyKeys(["b's", 'a', 'c'])).toEqual(
        new Map([
          ['a', first.id],
          ["b's", second.id],
        ]),
      );
      expect(await plans.byIdempotencyKeys([])).toEqual(new Map());
    });

    it('let nobody make a second plan', async () => {
      const { plans } = world().database;
      const first = smallPlan({ idempotencyKey: 'launch, 1 (of 2)' });
      const second = smallPlan({ idempotencyKey: 'launch, 1 (of 2)' });
      await plans.commit(first.changes);

      const commit = async (): Promise<void> => plans.commit(second.changes);

      await expect(commit()).rejects.toThrow(DuplicatePlanError);
      await expect(commit()).rejects.toMatchObject({ context: { plan: second.id } });
      expect(await plans.existing([first.id, second.id])).toEqual(new Set([first.id]));
    });
  });

  describe('subPlanTallies', () => {
    it('counts the sub-plans of a plan that are at rest, by action and end, and no others', async () => {
      const { plans } = world().database;
      const caller = randomUUID();
      const child = (row: Parameters<typeof planRow>[0]): ReturnType<typeof planRow> =>
        planRow({ callerPlan: caller, callerAction: 1, state: 'stopped', ...row });
      const unplanned = child({ result: 'error' });
      const rows = [
        child({ result: 'success', isCancelRequested: true }),
        child({ result: 'success', callerAction: 2 }),
        child({ result: 'error', isCancelRequested: true }),
        child({ result: 'cancelled' }),
        child({ result: 'warning' }),
        child({ result: 'error', state: 'paused' }),
        unplanned,
        child({ state: 'running' }),
        planRow({ state: 'stopped', result: 'success' }),
      ];
      await plans.commit(changes({ newPlans: rows, newSteps: [stepRow(unplanned.id, { id: 1, kind: 'plan', state: 'error' })] }));

      const tallies = await plans.subPlanTallies(caller);

      expect(tallies.toSorted((a, b) => (`${a.callerAction} ${a.outcome}` < `${b.callerAction} ${b.outcome}` ? -1 : 1))).toEqual([
        { callerAction: 1, outcome: 'cancelled', count: 2 },
        { callerAction: 1, outcome: 'failed', count: 2 },
        { callerAction: 1, outcome: 'success', count: 1 },
        { callerAction: 1, outcome: 'unplanned', count: 1 },
        { callerAction: 2, outcome: 'success', count: 1 },
      ]);
      expect(await plans.subPlanTallies(randomUUID())).toEqual([]);
    });
  });

  describe('loadUnfinished', () => {
    it('loads all that is neither stopped nor paused, the oldest first', async () => {
      const { plans } = world().database;
      const states = ['stopped', 'running', 'paused', 'pending', 'planning', 'scheduled', 'planned'] as const;
      const made = states.map((state, index) => smallPlan({ state, createdAtMs: MOMENT - index }));
      for (const { changes: one } of made) {
        await plans.commit(one);
      }

      const loaded = await plans.loadUnfinished();

      expect(loaded.map(({ plan }) => plan.state)).toEqual(['planned', 'scheduled', 'planning', 'pending', 'running']);
      expect(loaded.map(({ plan, actions, steps }) => ({ plan: plan.id, actions, steps }))).toEqual(
        loaded.map(({ plan }) => ({
          plan: plan.id,
          actions: [actionRow(plan.id, { runStep: 1, chunksAs: 'result' })],
          steps: [stepRow(plan.id)],
        })),
      );
    });

    it('keeps the order in which plans of one moment were made', async () => {
      const { plans } = world().database;
      const made = Array.from({ length: 20 }, () => planRow());
      await plans.commit(changes({ newPlans: made }));

      expect((await plans.loadUnfinished()).map(({ plan }) => plan.id)).toEqual(made.map(({ id }) => id));
    });
  });

  describe('chunks', () => {
    it('come in the order in which they were written, whatever their numbers, and of one action only', async () => {
      const { plans } = world().database;
      const { id, changes: made } = smallPlan();
      await plans.commit(made);
      await plans.commit(changes({ chunks: [3, 1].map((seq) => chunkRow(id, { seq })).concat(chunkRow(id, { action: 2, seq: 9 })) }));
      // A finalize step counts from 1 again.
      await plans.commit(changes({ chunks: [chunkRow(id, { seq: 1, text: 'finalize' })] }));

      expect((await plans.chunks(id, 1)).map(({ seq, text }) => [seq, text])).toEqual([
        [3, 'hello\n'],
        [1, 'hello\n'],
        [1, 'finalize'],
      ]);
      expect(await plans.chunks(id, 2)).toHaveLength(1);
    });
  });
}
