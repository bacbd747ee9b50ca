import { describe, expect, it } from 'vitest';
import { UnavailableError, type JsonObject } from '@dynflow/kernel';
import type { Schedule, StepTokenV1, SubPlanRequest } from '@dynflow/contracts';
import { EngineIsGoneError, EngineWorld, done, suspended } from '@dynflow/testing/engine';
import { PlanNotScheduledError } from './schedules.js';

/**
 * Executors that live on while the engine is restarted, as theirs is another process: they ask again with the same claim id, do what
 * they were granted once, and send their reports until they are confirmed. What they do is written into a ledger.
 */
class Ledger {
  readonly effects = new Map<string, number>();
  readonly #asked: { token: StepTokenV1; plugin: string; claim: string }[] = [];
  readonly #done = new Set<string>();
  readonly #seen = new Set<string>();

  constructor(readonly world: EngineWorld) {}

  async work(): Promise<void> {
    const { world } = this;
    for (const { plugin, token } of world.tokens.splice(0)) {
      const key = `${token.plan}/${token.step}/${token.attempt}`;
      if (!this.#seen.has(key)) {
        this.#seen.add(key);
        this.#asked.push({ plugin, token, claim: world.executor(plugin).nextClaimId() });
      }
    }
    for (let asked = this.#asked[0]; asked !== undefined; asked = this.#asked[0]) {
      const { plugin, token, claim } = asked;
      this.assertAlive();
      await world.ask(async () => world.executor(plugin).claim(token, claim));
      this.#asked.shift();
    }
    for (const held of world.held) {
      if (!this.#done.has(held.claim)) {
        this.assertAlive();
        this.#done.add(held.claim);
        const effect = `${held.grant.action} ${String(held.grant.input['n'] ?? '')} ${held.grant.phase}${held.attempt > 1 ? ` ${held.attempt}` : ''}`;
        this.effects.set(effect, (this.effects.get(effect) ?? 0) + 1);
        const [outcome] = [world.actions.behaviourOf(held.grant.action)(held.grant)].flat();
        await world.report(held, outcome!, ['out']);
      }
    }
    for (const executor of world.executors) {
      for (const report of executor.unconfirmed.values()) {
        this.assertAlive();
        await world.ask(async () => executor.send(report));
      }
    }
  }

  /** @throws EngineIsGoneError if it died with what followed from the last answer. */
  assertAlive(): void {
    if (this.world.isCrashed) {
      throw new EngineIsGoneError();
    }
  }

  get isIdle(): boolean {
    const hasReports = this.world.executors.some(({ unconfirmed }) => unconfirmed.size > 0);
    return this.world.tokens.length === 0 && this.#asked.length === 0 && !hasReports;
  }
}

/** What happens to one commit: the process dies after it, it fails, or it is written and only its answer is lost. */
type Disturbance = { commit: number; what: 'crash' | 'failure' | 'lost answer'; isAsync: boolean } | null;

/** Lets one commit of this world be disturbed. */
function arrange(world: EngineWorld, disturbance: Disturbance): void {
  world.store.isAsync = disturbance?.isAsync ?? false;
  const disturb = (number: number): void => {
    if (disturbance?.what === 'crash' && number === disturbance.commit) {
      world.crash();
    } else if (disturbance !== null && disturbance.what !== 'crash' && number === disturbance.commit - 1) {
      world.store.failNextCommit(new UnavailableError('DYN_TEST', 'disturbed'), { isWritten: disturbance.what === 'lost answer' });
    }
  };
  disturb(0);
  world.store.onCommit = disturb;
}

/** Asks for all of this, each again until it was answered, and works until nothing is left to be done. */
async function drive(world: EngineWorld, ledger: Ledger, questions: readonly (() => Promise<unknown>)[]): Promise<void> {
  let asked = 0;
  for (let round = 0; round < 100; round += 1) {
    try {
      for (; asked < questions.length; asked += 1) {
        ledger.assertAlive();
        await questions[asked]?.();
      }
      await ledger.work();
      if (ledger.isIdle && world.clock.pending > 0) {
        await world.advance(1_000);
      }
      if (world.isCrashed) {
        await world.restart();
      } else if (ledger.isIdle && world.clock.pending === 0) {
        break;
      }
    } catch (error) {
      if (error instanceof EngineIsGoneError) {
        await world.restart();
      } else if (error instanceof UnavailableError) {
        await world.advance(1_000);
      } else {
        throw error;
      }
    }
  }
}

/** Two sub-plans under a limit of one, each with run steps, a suspension, a failed attempt and a finalize; then a callback. */
async function scenario(disturbance: Disturbance): Promise<{ world: EngineWorld; ledger: Ledger; commits: number }> {
  const world = new EngineWorld();
  const ledger = new Ledger(world);
  world.actions.executor('demo.Prepare', {}, () => ({ kind: 'done', output: { ready: true } }));
  world.actions.executor('demo.Work', { chunksAs: 'result', finalize: { kind: 'run' } }, ({ attempt, phase }) =>
    attempt === 1 && phase === 'run'
      ? { kind: 'suspended', checkpoint: { at: 1 }, waitingFor: 'its timer', wakeAfterMs: 1_000 }
      : { kind: 'done', output: { attempt } },
  );
  world.actions.local('gw.Callback', ({ event }) => {
    if (event?.kind === 'effect') {
      return done({ told: true });
    }
    return suspended({ commands: [{ kind: 'effect', name: 'post', payload: null }] });
  });
  world.actions.asked('demo.Child', (input) => [
    { kind: 'action', action: 'demo.Prepare', input: { n: input['n'] ?? 0 }, as: 'prepared' },
    { kind: 'action', action: 'demo.Work', input: { n: input['n'] ?? 0, ready: { $output: 'prepared', path: ['ready'] } }, as: 'work' },
    { kind: 'action', action: 'gw.Callback', input: { result: { $output: 'work', path: ['attempt'] } } },
  ]);
  world.actions.local('gw.Batch', ({ event, input }) => {
    if (event === undefined) {
      const children = input['children'] as unknown as SubPlanRequest[];
      return suspended({ commands: [{ kind: 'spawn', children, concurrencyLimit: 1 }] });
    }
    return event.kind === 'subPlans' && event.counts.pending === 0 ? done({ ...event.counts }) : suspended();
  });

  arrange(world, disturbance);
  const children: JsonObject[] = [1, 2].map((n) => ({ id: `child-${n}`, action: 'demo.Child', input: { n } }));
  const trigger = async (): Promise<unknown> =>
    world.ask((engine) => engine.trigger({ id: 'root', action: 'gw.Batch', input: { children } }));
  await drive(world, ledger, [trigger]);
  return { world, ledger, commits: world.store.commits.length };
}

/** What must hold however often the engine died. */
function verdicts({ world, ledger }: { world: EngineWorld; ledger: Ledger }): JsonObject {
  return {
    plans: Object.fromEntries(world.plans.map(({ row, verdict }) => [row.id, verdict])),
    counts: world.plan('root').output(),
    effects: Object.fromEntries([...ledger.effects].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    outputs: ['child-1', 'child-2'].map((id) => world.plan(id).actions.map(({ output }) => output)) as unknown as JsonObject[],
    texts: ['child-1', 'child-2'].map((id) => world.text(id, 3)),
    active: world.engine.activePlans,
    doubled: world.store.doubledRows,
  };
}

/** What is scheduled, chained, frozen, cancelled, halted, launched with a key or held by one plan at a time. */
async function controlled(disturbance: Disturbance): Promise<{ world: EngineWorld; ledger: Ledger; commits: number }> {
  const world = new EngineWorld();
  const ledger = new Ledger(world);
  const startMs = world.clock.now();
  world.actions.executor('demo.Work');
  world.actions.executor('demo.Single', { singleton: true });
  world.actions.asked('demo.Asked', ({ n }) => [{ kind: 'action', action: 'demo.Work', input: { n: n ?? 0 } }]);
  arrange(world, disturbance);
  const trigger = (id: string, action: string, schedule?: Partial<Schedule>) => async () =>
    world.trigger(action, { n: id }, { id, ...(schedule === undefined ? {} : { schedule }) });
  await drive(world, ledger, [
    trigger('first', 'demo.Work'),
    trigger('chained', 'demo.Asked', { after: ['first'] }),
    trigger('delayed', 'demo.Asked', { startAtMs: startMs + 1_000 }),
    trigger('late', 'demo.Work', { isFrozen: true, startBeforeMs: startMs + 3_000 }),
    trigger('thawed', 'demo.Work', { isFrozen: true, startAtMs: startMs + 2_000 }),
    trigger('cancelled', 'demo.Work', { startAtMs: startMs + 3_600_000 }),
    trigger('halted', 'demo.Work'),
    trigger('after halted', 'demo.Work', { after: ['halted', 'first'] }),
    trigger('single', 'demo.Single'),
    trigger('next single', 'demo.Single', { after: ['single'] }),
    async () => world.ask((engine) => engine.trigger({ action: 'demo.Work', input: { n: 'keyed' }, label: 'keyed', idempotencyKey: 'k' })),
    async () => world.ask((engine) => engine.cancel('cancelled')),
    async () => world.ask((engine) => engine.halt('halted')),
    async () =>
      world.ask((engine) =>
        engine.setFrozen('thawed', false).catch((error: unknown) => {
          // It was done, and only the answer was lost.
          if (!(error instanceof PlanNotScheduledError)) {
            throw error;
          }
        }),
      ),
  ]);
  return { world, ledger, commits: world.store.commits.length };
}

function controlledVerdicts({ world, ledger }: { world: EngineWorld; ledger: Ledger }): JsonObject {
  const plans = world.plans.map(({ row, verdict, history }) => {
    // That another process went on with it is said too, and is not what matters here.
    const said = new Set(history.filter((name) => name !== 'terminate execution'));
    return [row.id.startsWith('0') ? row.label : row.id, [verdict, ...said]] as [string, string[]];
  });
  return {
    plans: Object.fromEntries(plans),
    effects: Object.fromEntries([...ledger.effects].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    active: world.engine.activePlans,
    doubled: world.store.doubledRows,
  };
}

const DISTURBANCES = [
  ['AR26 a restart after', 'crash', false],
  ['a restart after', 'crash', true],
  ['a failure of', 'failure', false],
  ['a failure of', 'failure', true],
  ['the lost answer of', 'lost answer', false],
  ['the lost answer of', 'lost answer', true],
] as const;

describe('a disturbance', () => {
  it.each(DISTURBANCES)(
    '%s any commit (%s, store asynchronous: %s) leaves every plan coming to rest, each effect happening once',
    async (_, what, isAsync) => {
      const undisturbed = await scenario(null);
      const expected = verdicts(undisturbed);
      expect(expected).toMatchObject({
        plans: { root: 'stopped/success', 'child-1': 'stopped/success', 'child-2': 'stopped/success' },
        counts: { total: 2, pending: 0, success: 2, failed: 0 },
        texts: ['outoutout', 'outoutout'],
        active: 0,
        doubled: [],
      });
      expect(Object.values(expected['effects'] as JsonObject)).toEqual(Array.from({ length: 8 }, () => 1));
      expect(undisturbed.commits).toBeGreaterThan(15);
      for (let commit = 1; commit <= undisturbed.commits; commit += 1) {
        const disturbed = await scenario({ commit, what, isAsync });
        expect({ commit, ...verdicts(disturbed) }).toEqual({ commit, ...expected });
        expect({ commit, restarts: disturbed.world.generation }).toEqual({ commit, restarts: what === 'crash' ? 1 : 0 });
      }
    },
  );

  it.each(DISTURBANCES)(
    '%s any commit (%s, store asynchronous: %s) changes nothing of what schedules, chains and halts lead to',
    async (_, what, isAsync) => {
      const undisturbed = await controlled(null);
      const expected = controlledVerdicts(undisturbed);
      const ran = ['delay', 'start execution', 'finish execution'];
      expect(expected).toMatchObject({
        plans: {
          first: ['stopped/success', 'start execution', 'finish execution'],
          chained: ['stopped/success', ...ran],
          delayed: ['stopped/success', ...ran],
          late: ['stopped/error', 'delay', 'timeout'],
          thawed: ['stopped/success', ...ran],
          cancelled: ['stopped/cancelled', 'delay', 'Delayed task cancelled'],
          halted: ['stopped/halted', 'start execution', 'halt execution'],
          'after halted': ['stopped/error', 'delay', 'failed-dependency'],
          single: ['stopped/success', 'start execution', 'finish execution'],
          'next single': ['stopped/success', ...ran],
          keyed: ['stopped/success', 'start execution', 'finish execution'],
        },
        active: 0,
        doubled: [],
      });
      expect(Object.values(expected['effects'] as JsonObject)).toEqual(Array.from({ length: 7 }, () => 1));
      expect(undisturbed.commits).toBeGreaterThan(20);
      for (let commit = 1; commit <= undisturbed.commits; commit += 1) {
        const disturbed = await controlled({ commit, what, isAsync });
        expect({ commit, ...controlledVerdicts(disturbed) }).toEqual({ commit, ...expected });
        expect({ commit, restarts: disturbed.world.generation }).toEqual({ commit, restarts: what === 'crash' ? 1 : 0 });
      }
    },
  );
});

describe('a restart', () => {
  it('AR28 AR29 leaves paused plans alone', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    await world.fail(await world.claim());
    await world.restart();
    expect(world.engine.activePlans).toBe(0);
    expect(world.plan(plan).history).toEqual(['start execution', 'pause execution']);
  });

  it('AR24 AR25 goes on with what was planned and not started', async () => {
    const world = new EngineWorld();
    world.actions.asked('demo.Asked', () => []);
    world.arePlannersAway = true;
    const plan = await world.trigger('demo.Asked');
    expect(world.plan(plan).verdict).toBe('planning/pending');
    await world.restart();
    world.arePlannersAway = false;
    await world.advance(1_000);
    expect(world.plan(plan).verdict).toBe('stopped/success');
    expect(world.plan(plan).history).toEqual(['start execution', 'finish execution']);
  });

  it('without the plugin of a plan that is being planned fails that plan in words, and goes on with the others', async () => {
    const world = new EngineWorld();
    world.actions.asked('demo.Asked', () => []);
    world.actions.executor('demo.A');
    world.arePlannersAway = true;
    const lost = await world.trigger('demo.Asked');
    const other = await world.trigger('demo.A');
    world.actions.remove('demo.Asked');
    await world.restart();
    await world.runAll();
    expect(world.plan(lost).verdict).toBe('stopped/error');
    expect(world.plan(lost).step(1).error).toMatchObject({ code: 'DYN_UNKNOWN_ACTION' });
    expect(world.plan(other).verdict).toBe('stopped/success');
  });

  it('without the plugin of a plan leaves its steps ready for whoever brings it back', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const plan = await world.trigger('demo.A');
    world.actions.remove('demo.A');
    world.tokens.length = 0;
    await world.restart();
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'pending', waitingFor: 'an executor of demo with a free slot' });
    expect(world.tokens).toHaveLength(1);
  });

  it('leaves a plan that cannot be read, and goes on with the others', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A');
    const [bad, good] = [await world.trigger('demo.A'), await world.trigger('demo.A')];
    const loadUnfinished = world.store.loadUnfinished.bind(world.store);
    world.store.loadUnfinished = () => {
      const stored = loadUnfinished() as Awaited<ReturnType<typeof loadUnfinished>>;
      return stored.map((one) => (one.plan.id === bad ? { ...one, plan: { ...one.plan, runFlow: ['X'] } } : one));
    };
    await world.restart();
    expect(world.faults).toEqual([`the plan ${bad} could not be read`]);
    await world.runAll();
    expect(world.plan(good).verdict).toBe('stopped/success');
  });

  it('keeps a plan on the version of its action with which it was made', async () => {
    const world = new EngineWorld();
    world.actions.executor('demo.A', { version: 1 });
    await world.trigger('demo.A');
    world.actions.executor('demo.A', { version: 2 });
    await world.restart();
    await world.trigger('demo.A');
    expect((await world.claim()).grant.actionVersion).toBe(1);
    const tokens = world.tokens.filter(({ token }) => token.plan !== world.store.planIds[0]);
    world.tokens.splice(0, world.tokens.length, ...tokens);
    expect((await world.claim()).grant.actionVersion).toBe(2);
  });
});
