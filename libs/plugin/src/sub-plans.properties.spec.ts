import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '@dynflow/kernel';
import { EngineIsGoneError } from '@dynflow/testing/engine';
import { Family } from './spec-support/family.js';

/** How long it may look for a counterexample. To look longer, raise it, and the test's own limit with it. */
const TIME_LIMIT_MS = 2_500;

interface Shape {
  readonly count: number;
  readonly batchSize: number;
  readonly limit: number | undefined;
  readonly spreadOverMs: number | undefined;
  readonly isAsync: boolean;
}

type Move = {
  readonly what: 'finish' | 'fail' | 'restart' | 'time' | 'rerun' | 'resume' | 'gone' | 'back' | 'crash' | 'failure' | 'lost';
  readonly how: number;
};

const shape: fc.Arbitrary<Shape> = fc.record({
  count: fc.integer({ min: 0, max: 12 }),
  batchSize: fc.integer({ min: 1, max: 5 }),
  limit: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
  spreadOverMs: fc.option(fc.constantFrom(1_000, 10_000), { nil: undefined }),
  isAsync: fc.boolean(),
});

const move: fc.Arbitrary<Move> = fc.record({
  what: fc.constantFrom<Move['what'][]>(
    ...(['finish', 'finish', 'finish', 'fail', 'restart', 'time', 'rerun', 'resume', 'gone', 'back', 'crash', 'failure', 'lost'] as const),
  ),
  how: fc.nat(5),
});

/** A family, and what has to hold for it at every moment. */
class Watched {
  readonly family: Family;
  readonly broken: string[] = [];
  /** Resumed ones run whatever the limit: somebody asked for it. */
  #mayExceed = false;

  constructor(readonly shape: Shape) {
    const { batchSize, limit, spreadOverMs } = shape;
    this.family = new Family({
      batchSize,
      ...(limit === undefined ? {} : { concurrencyLimit: limit }),
      ...(spreadOverMs === undefined ? {} : { spreadOverMs }),
    });
    this.family.world.store.isAsync = shape.isAsync;
  }

  async begin(): Promise<void> {
    await this.#calm(async () => {
      this.family.plan = 'p';
      await this.family.world.ask((engine) => engine.trigger({ id: 'p', action: 'demo.Parent', input: { count: this.shape.count } }));
    });
  }

  async make({ what, how }: Move): Promise<void> {
    const { family } = this;
    const { world } = family;
    await this.#calm(async () => {
      switch (what) {
        case 'finish':
          return family.finish(1 + how);
        case 'fail':
          return family.fail(1 + (how % 2));
        case 'restart':
          return world.restart();
        case 'time':
          return world.advance(how * 400);
        case 'rerun':
          this.#mayExceed = true;
          return family.rerun(1 + how);
        case 'resume':
          return this.#isPaused ? family.resume() : undefined;
        case 'gone':
          return void (how === 0 && family.childrenAreGone());
        case 'back':
          return family.childrenAreBack();
        case 'crash': {
          const at = world.store.commits.length + 1 + how;
          world.store.onCommit = (number) => void (number === at && world.crash());
          return undefined;
        }
        case 'failure':
          return world.store.failNextCommit();
        case 'lost':
          return world.store.failNextCommit(undefined, { isWritten: true });
      }
    });
    this.#look();
  }

  /** Everything ends well from now on: what failed is run again, and the caller resumed. */
  async end(): Promise<void> {
    const { family } = this;
    const { world } = family;
    world.store.onCommit = undefined;
    world.store.clearFailures();
    this.#mayExceed = true;
    for (let round = 0; round < 60 && !this.#isOver(round); round += 1) {
      await this.#calm(async () => {
        if (world.store.read('p') === null) {
          await world.ask((engine) => engine.trigger({ id: 'p', action: 'demo.Parent', input: { count: this.shape.count } }));
        }
        family.childrenAreBack();
        await world.advance(1_000);
        world.tokens.splice(0, world.tokens.length, ...world.engine.readyTokens());
        const known = new Set(world.held.map(({ claim }) => claim));
        await world.ask((engine) => engine.executorLost('demo', 'e1', (_, claim) => !known.has(claim)));
        for (const executor of world.executors) {
          for (const report of executor.unconfirmed.values()) {
            await world.ask(async () => executor.send(report));
          }
        }
        for (const held of world.held) {
          await world.finish(held);
        }
        await family.finish();
        await family.rerun();
        if (this.#isPaused) {
          await family.resume();
        }
      });
      this.#look();
    }
  }

  /** The last word: everything is at rest and counted as it ended. */
  assertOver(): void {
    const { family } = this;
    expect(this.broken).toEqual([]);
    expect(family.world.engine.activePlans).toBe(0);
    const counters = family.counters as unknown as Record<string, number>;
    const ended = family.children.filter(({ result }) => result === 'success').length;
    expect(counters).toMatchObject({ total_count: this.shape.count, success_count: ended, pending_count: 0 });
    expect(counters['cancelled_count']! + counters['failed_count']! + counters['success_count']!).toBe(this.shape.count);
    // The end of a window in time leaves something undone that cannot be run again, and so does planning that failed for some.
    const canEnd = counters['cancelled_count'] === 0 && counters['failed_count'] === 0;
    expect(family.parent.verdict).toBe(canEnd ? 'stopped/success' : 'paused/error');
    expect(family.children.filter(({ state }) => state !== 'stopped')).toEqual([]);
    expect(new Set(family.children.map(({ row }) => row.id)).size).toBe(family.children.length);
    expect(family.world.store.doubledRows).toEqual([]);
  }

  get #isPaused(): boolean {
    return this.family.world.store.read('p')?.plan.state === 'paused';
  }

  #isOver(round: number): boolean {
    const stored = this.family.world.store.read('p');
    const isStuck = round > 6 && stored?.plan.state === 'paused' && this.family.children.every(({ state }) => state === 'stopped');
    return this.family.world.engine.activePlans === 0 && (stored?.plan.state === 'stopped' || isStuck);
  }

  #look(): void {
    const { family } = this;
    if (family.world.store.read('p') === null) {
      return;
    }
    const running = family.children.filter(({ state }) => state === 'running').length;
    const { limit } = this.shape;
    if (!this.#mayExceed && limit !== undefined && running > limit) {
      this.broken.push(`${running} of at most ${limit} run`);
    }
    const counters = family.counters as unknown as Record<string, number>;
    const { total_count: total = 0, success_count: success = 0, failed_count: failed = 0, cancelled_count: cancelled = 0 } = counters;
    if (success + failed + cancelled + (counters['pending_count'] ?? 0) !== total) {
      this.broken.push(`the counters do not add up: ${JSON.stringify(counters)}`);
    }
    this.broken.push(...family.world.faults.filter((fault) => fault.includes('could not be read')));
  }

  /** The store is away, or the process dies: that is part of the game. */
  async #calm(work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.family.world.isCrashed && !(error instanceof UnavailableError) && !(error instanceof EngineIsGoneError)) {
        throw error;
      }
    }
    const { world } = this.family;
    if (world.isCrashed) {
      world.store.onCommit = undefined;
      await this.#calm(async () => world.restart());
    }
  }
}

/** What went wrong once. */
const FOUND: [Shape, Move[]][] = [
  [
    { count: 1, batchSize: 1, limit: undefined, spreadOverMs: 1_000, isAsync: false },
    [
      { what: 'lost', how: 0 },
      { what: 'lost', how: 0 },
      { what: 'time', how: 3 },
      { what: 'finish', how: 0 },
    ],
  ],
];

describe('whatever happens', () => {
  it('to a family of sub-plans: limits hold, counters add up, nothing is made twice, and it comes to rest', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(shape, fc.array(move, { maxLength: 20 }), async (family, moves) => {
        runs += 1;
        const watched = new Watched(family);
        await watched.begin();
        for (const each of moves) {
          await watched.make(each);
        }
        await watched.end();
        watched.assertOver();
      }),
      { numRuns: 2_000, interruptAfterTimeLimit: TIME_LIMIT_MS, examples: FOUND },
    );
    // Many more, unless the machine is very busy.
    expect(runs).toBeGreaterThan(3);
  });
});
