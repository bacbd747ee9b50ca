import { describe, expect, it } from 'vitest';
import { UnavailableError } from '@dynflow/kernel';
import { EngineIsGoneError, EngineWorld, done, suspended, type HeldStep } from '@dynflow/testing/engine';

/** What happens to one commit. */
type Disturbance = { commit: number; what: 'crash' | 'failure' | 'lost answer' } | null;

const retry = { maxAttempts: 4, backoffMs: 1_000, jitter: 0, on: ['retryable', 'unknown'] as ('retryable' | 'unknown')[] };

/**
 * Three plans under a limit of one: each fails once, is silent once and ends well; one local one that fails once. An operator holds the
 * second plan and releases it. Executors outlive the engine.
 */
async function scenario(disturbance: Disturbance): Promise<{ verdicts: unknown; most: number; commits: number }> {
  const world = new EngineWorld();
  world.actions.executor('p.A', { retry, idempotent: true, limits: [{ name: 'one', concurrency: 1 }], timeLimits: { silentMs: 5_000 } });
  world.actions.local(
    'gw.B',
    ({ event, attempt }) => {
      if (event === undefined) {
        return suspended({ wakeAfterMs: 100 });
      }
      return attempt > 2
        ? done({ b: 1 })
        : { outcome: { kind: 'failed', error: { errorClass: 'E', message: 'no', kind: 'retryable' } }, commands: [] };
    },
    { retry },
  );
  world.store.onCommit = (number) => {
    if (disturbance?.what === 'crash' && number === disturbance.commit) {
      world.crash();
    } else if (disturbance !== null && disturbance.what !== 'crash' && number === disturbance.commit - 1) {
      world.store.failNextCommit(new UnavailableError('DYN_TEST', 'disturbed'), { isWritten: disturbance.what === 'lost answer' });
    }
  };
  let most = 0;
  /** Whatever is disturbed is asked again, until it has an answer. */
  const surely = async (work: () => Promise<unknown>): Promise<void> => {
    for (let isDone = false; !isDone;) {
      try {
        await work();
        isDone = !world.isCrashed;
      } catch (error) {
        if (!(error instanceof EngineIsGoneError) && !(error instanceof UnavailableError)) {
          throw error;
        }
      }
      if (world.isCrashed) {
        await world.restart();
      }
      await world.advance(isDone ? 0 : 1_000);
      most = Math.max(
        most,
        world.plans.flatMap(({ steps }) => steps.filter(({ state, executor }) => state === 'running' && executor)).length,
      );
    }
  };
  const turns = new Map<string, number>();
  const perform = async (held: HeldStep): Promise<void> => {
    const turn = (turns.get(held.plan) ?? 0) + 1;
    turns.set(held.plan, turn);
    if (turn === 1) {
      await surely(async () => (world.executor('p').held.has(held.claim) ? world.fail(held, { kind: 'retryable' }) : undefined));
    } else if (turn === 2) {
      // Silent until it is told to end; and then too.
      await surely(async () => world.advance(5_000));
      await surely(async () => world.advance(31_000));
      world.executor('p').held.delete(held.claim);
    } else {
      await surely(async () => (world.executor('p').held.has(held.claim) ? world.finish(held, { x: 1 }) : undefined));
    }
  };
  for (const id of ['1', '2', '3']) {
    await surely(async () => world.trigger('p.A', {}, { id }));
  }
  await surely(async () => world.trigger('gw.B', {}, { id: 'local' }));
  await surely(async () => world.ask((engine) => engine.hold({ reason: 'why', plans: ['2'] })));
  for (let round = 0; round < 200 && world.engine.activePlans > 0; round += 1) {
    if (round === 10) {
      await surely(async () => world.ask((engine) => engine.release()));
    }
    for (const report of world.executor('p').unconfirmed.values()) {
      await surely(async () => world.ask(async () => world.executor('p').send(report)));
    }
    const known = new Set(world.held.map(({ claim }) => claim));
    await surely(async () => world.ask((engine) => engine.executorLost('p', 'e1', (_, claim) => !known.has(claim))));
    world.tokens.splice(0, world.tokens.length, ...world.engine.readyTokens());
    const [token] = world.tokens;
    if (token === undefined) {
      await surely(async () => world.advance(1_000));
    } else {
      const claim = world.executor('p').nextClaimId();
      await surely(async () => world.ask(async () => world.executor('p').claim(token.token, claim)));
      for (const held of world.held) {
        await perform(held);
      }
    }
  }
  const verdicts = Object.fromEntries(
    world.plans.map(({ row, verdict, steps }) => [row.id, { verdict, output: steps.length, held: row.heldBecause }]),
  );
  return { verdicts, most, commits: world.store.commits.length };
}

describe('retries, limits and holds', () => {
  it.each(['crash', 'failure', 'lost answer'] as const)('survive a disturbance (%s) of any commit', async (what) => {
    const undisturbed = await scenario(null);
    const plan = { verdict: 'stopped/success', output: 2, held: null };
    expect(undisturbed).toMatchObject({ verdicts: { 1: plan, 2: plan, 3: plan, local: plan }, most: 1 });
    expect(undisturbed.commits).toBeGreaterThan(20);
    for (let commit = 1; commit <= undisturbed.commits; commit += 1) {
      const { verdicts, most } = await scenario({ commit, what });
      expect({ commit, verdicts, most }).toEqual({ commit, verdicts: undisturbed.verdicts, most: 1 });
    }
  });
});
