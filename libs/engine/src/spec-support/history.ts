import fc from 'fast-check';
import { expect } from 'vitest';
import { NotFoundError, UnavailableError } from '@dynflow/kernel';
import type { OutcomeV1, ReportV1 } from '@dynflow/contracts';
import { EngineWorld, type HeldStep } from '@dynflow/testing/engine';
import { PlanNotPausedError } from '../plan-loader.js';
import { PlanNotScheduledError } from '../schedules.js';
import { SingletonActiveError } from '../singletons.js';
import { RATE, declareLeaves, leaves } from './random-plans.js';
import { Watch } from './watch.js';

export interface Move {
  readonly what:
    | (
        | 'claim'
        | 'report'
        | 'event'
        | 'cancel'
        | 'resume'
        | 'skip'
        | 'restart'
        | 'time'
        | 'failure'
        | 'lost'
        | 'again'
        | 'output'
        | 'remind'
      )
    | ('halt' | 'launch' | 'freeze' | 'planners' | 'hold' | 'release');
  readonly which: number;
  readonly how: number;
}

/** Something that happens to plans, to the store or to the process. */
export const move: fc.Arbitrary<Move> = fc.record({
  what: fc.constantFrom<Move['what']>(
    ...(['claim', 'claim', 'claim', 'report', 'report', 'report', 'event', 'cancel', 'resume', 'skip', 'restart'] as const),
    ...([
      'time',
      'failure',
      'lost',
      'again',
      'output',
      'remind',
      'halt',
      'launch',
      'launch',
      'freeze',
      'planners',
      'hold',
      'release',
    ] as const),
  ),
  which: fc.nat(20),
  how: fc.nat(20),
});

const outcomes: OutcomeV1[] = [
  { kind: 'done', output: { x: 1 } },
  { kind: 'done', output: { bad: true } },
  { kind: 'failed', error: { errorClass: 'E', message: 'final', kind: 'final' } },
  { kind: 'failed', error: { errorClass: 'E', message: 'retryable', kind: 'retryable' } },
  { kind: 'failed', error: { errorClass: 'E', message: 'unknown', kind: 'unknown' }, output: { y: 1 } },
  { kind: 'suspended', checkpoint: { c: 1 }, waitingFor: 'x', wakeAfterMs: 300 },
  { kind: 'suspended', checkpoint: null, waitingFor: 'an event' },
  { kind: 'released', checkpoint: { r: 1 } },
  { kind: 'checkpoint', output: { z: 1 } },
];

const REFUSALS = [UnavailableError, PlanNotPausedError, NotFoundError, SingletonActiveError, PlanNotScheduledError];

/** A world and all that has happened in it. */
export class History {
  readonly world = new EngineWorld();
  readonly watch = new Watch(this.world);
  /** Who was granted which attempt; a second one would be a step that runs twice. */
  readonly grants = new Map<string, string>();
  readonly #reports: ReportV1[] = [];
  readonly #tokens: EngineWorld['tokens'] = [];
  readonly #begunAtMs: number[] = [];
  #claims = 0;

  constructor() {
    declareLeaves(this.world);
  }

  /** Some refusals are part of the game; anything else is a defect. */
  async try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (REFUSALS.some((refusal) => error instanceof refusal)) {
        return undefined;
      }
      throw error;
    }
  }

  async make({ what, which, how }: Move): Promise<void> {
    const { world } = this;
    const pick = <T>(items: readonly T[]): T | undefined => items[which % Math.max(1, items.length)];
    switch (what) {
      case 'claim': {
        const token = pick(world.tokens);
        if (token !== undefined) {
          world.tokens.splice(world.tokens.indexOf(token), 1);
          await this.#claim(token, how);
        }
        break;
      }
      case 'report': {
        const held = pick(world.held);
        if (held !== undefined) {
          await this.#report(held, outcomes[how % outcomes.length]!);
        }
        break;
      }
      case 'event': {
        const plan = pick(world.plans);
        const step = plan?.steps[how % Math.max(1, plan.steps.length)];
        if (plan !== undefined && step !== undefined) {
          await this.try(async () => world.ask((engine) => engine.sendEvent(plan.row.id, step.id, how % 4 === 0 ? 'fail' : 'go')));
        }
        break;
      }
      case 'cancel': {
        const plan = pick(world.plans);
        if (plan !== undefined && how % 3 === 0) {
          await this.try(async () => world.ask((engine) => engine.cancel(plan.row.id, { force: how % 2 === 0 })));
        }
        break;
      }
      case 'resume':
      case 'skip': {
        const plan = pick(world.plans.filter(({ state }) => state === 'paused'));
        const step = plan?.steps.find(({ state }) => state === 'error');
        if (plan !== undefined && step !== undefined) {
          await this.try<unknown>(async () =>
            world.ask<unknown>((engine) => (what === 'skip' ? engine.skip(plan.row.id, step.id) : engine.resume(plan.row.id))),
          );
        }
        break;
      }
      case 'restart':
        await this.try(async () => world.restart());
        break;
      case 'time':
        await world.advance(how * 50);
        break;
      case 'failure':
        world.store.failNextCommit(undefined, { isWritten: how % 2 === 0 });
        break;
      case 'lost':
        if (how % 3 === 0) {
          const { startId } = world.executor('p');
          world.executor('p').restart();
          // It may wait for plans that are being read again, and those for time.
          void this.try(async () => world.begin((engine) => engine.executorLost('p', 'e1', (id) => id === startId)));
          await world.settle();
        }
        break;
      case 'again': {
        const report = pick(this.#reports);
        if (report !== undefined) {
          await this.try(async () => world.ask((engine) => engine.report('p', report)));
        }
        const token = pick(this.#tokens);
        if (token !== undefined) {
          await this.#claim(token, how);
        }
        break;
      }
      case 'output': {
        const held = pick(world.held);
        if (held !== undefined) {
          const { claim, plan, step, attempt } = held;
          const chunks = [{ seq: 1 + (how % 4), kind: 'stdout', timestampMs: 0, text: 'x' }];
          await this.try(async () =>
            world.ask((engine) =>
              engine.output('p', { type: 'output', version: 1, executor: 'e1', output: [{ claim, plan, step, attempt, chunks }] }),
            ),
          );
        }
        break;
      }
      case 'halt': {
        const plan = pick(world.plans);
        if (plan !== undefined && how % 4 === 0) {
          await this.try(async () => world.ask((engine) => engine.halt(plan.row.id, { family: which % 2 === 0 })));
        }
        break;
      }
      case 'launch': {
        const after = pick(world.plans);
        const now = world.clock.now();
        await this.try(async () =>
          world.trigger(
            leaves[how % leaves.length]!,
            {},
            {
              ...(how % 5 === 0 ? { idempotencyKey: `key of ${leaves[how % leaves.length]}` } : {}),
              schedule: {
                startAtMs: which % 3 === 0 ? now + 100 * how : null,
                startBeforeMs: which % 4 === 0 ? now + 10_000 : null,
                isFrozen: which % 5 === 0,
                after: after === undefined || how % 3 === 0 ? [] : [after.row.id],
              },
            },
          ),
        );
        break;
      }
      case 'freeze': {
        const plan = pick(world.plans.filter(({ state }) => state === 'scheduled'));
        if (plan !== undefined) {
          const startAtMs = how % 4 === 0 ? world.clock.now() + 50 * how : undefined;
          await this.try(async () => world.ask((engine) => engine.setFrozen(plan.row.id, how % 2 === 0, startAtMs)));
        }
        break;
      }
      case 'planners':
        world.arePlannersAway = how % 2 === 0;
        break;
      case 'hold': {
        const plan = pick(world.plans);
        const only = how % 4 === 0 || plan === undefined ? {} : { plans: [plan.row.id] };
        await this.try(async () => world.ask((engine) => engine.hold({ reason: `for ${how}`, ...only })));
        break;
      }
      case 'release': {
        const plan = pick(world.plans);
        const only = how % 4 === 0 || plan === undefined ? {} : { plans: [plan.row.id] };
        // It may wait for plans that are being read again, and those for time.
        void this.try(async () => world.begin((engine) => engine.release(only)));
        await world.settle();
        break;
      }
      case 'remind':
        await this.try(async () => world.ask((engine) => engine.remind(world.held)));
        break;
    }
    this.watch.look();
  }

  async #claim(token: EngineWorld['tokens'][number], how: number): Promise<void> {
    const { world } = this;
    this.#tokens.push(token);
    // Now and then the same claim again, as when an answer was lost.
    this.#claims += how % 5 === 0 ? 0 : 1;
    const answer = await this.try(async () =>
      world.ask(async () => world.executor('p').claim(token.token, `claim-${this.#claims}-${token.token.plan}-${token.token.step}`)),
    );
    if (answer !== undefined && !('result' in answer)) {
      const key = `${answer.plan}/${answer.step}/${answer.attempt}`;
      const other = this.grants.get(key);
      if (other !== undefined && other !== answer.claim) {
        this.watch.broken.push(`${key} was granted to ${other} and to ${answer.claim}`);
      }
      if (other === undefined && answer.grant.action === 'p.Limited' && answer.grant.checkpoint === undefined) {
        this.#countBeginning();
      }
      this.grants.set(key, answer.claim);
    }
  }

  #countBeginning(): void {
    const nowMs = this.world.clock.now();
    this.#begunAtMs.push(nowMs);
    const recent = this.#begunAtMs.filter((atMs) => atMs > nowMs - RATE.rate.perMs);
    if (recent.length > RATE.rate.count) {
      this.watch.broken.push(`${recent.length} have begun within ${RATE.rate.perMs} ms`);
    }
  }

  async #report(held: HeldStep, outcome: OutcomeV1): Promise<void> {
    const report = await this.try(async () => this.world.report(held, outcome, ['text']));
    if (report !== undefined) {
      this.#reports.push(report);
    }
  }

  /** Everything is answered from now on. @returns false if something does not come to rest all the same. */
  async answerAll(): Promise<boolean> {
    const { world } = this;
    world.store.clearFailures();
    world.arePlannersAway = false;
    for (let round = 0; round < 200; round += 1) {
      // Time for what is being read again.
      await world.advance(2_000);
      await this.try(async () => world.ask((engine) => engine.release()));
      if (world.engine.activePlans === 0 && world.clock.pending === 0) {
        this.watch.look();
        return true;
      }
      for (const executor of world.executors) {
        for (const report of executor.unconfirmed.values()) {
          await this.try(async () => world.ask(async () => executor.send(report)));
        }
      }
      // Whatever the engine granted and nobody knows of is lost with its executor.
      const known = new Set(world.held.map(({ claim }) => claim));
      await world.ask((engine) => engine.executorLost('p', 'e1', (_, claim) => !known.has(claim)));
      world.tokens.splice(0, world.tokens.length, ...world.engine.readyTokens());
      for (const token of world.tokens.splice(0)) {
        await this.#claim(token, 1);
      }
      for (const held of world.held) {
        await this.#report(held, { kind: 'done', output: { x: 1 } });
      }
      for (const { row } of world.plans.filter(({ state }) => state === 'scheduled')) {
        if (row.schedule?.isFrozen === true) {
          await this.try(async () => world.ask((engine) => engine.setFrozen(row.id, false)));
        }
        // Nobody resumes a paused plan any more: who waits for it would wait for ever.
        for (const after of row.schedule?.after ?? []) {
          if (world.plan(after).state === 'paused') {
            await this.try(async () => world.ask((engine) => engine.cancel(after)));
          }
        }
      }
      for (const plan of world.plans.filter(({ state }) => state === 'running')) {
        for (const step of plan.steps.filter(({ state }) => state === 'suspended')) {
          await world.ask((engine) => engine.sendEvent(plan.row.id, step.id, 'go'));
        }
      }
    }
    return false;
  }

  /** @throws if anything did not hold. */
  assertAllHeld(isAtRest: boolean): void {
    expect(this.watch.broken).toEqual([]);
    expect(this.world.faults.filter((fault) => fault.includes('could not be read'))).toEqual([]);
    expect(isAtRest ? [] : this.world.plans.map(({ row, verdict, states }) => `${row.id} ${verdict} ${states.join(' ')}`)).toEqual([]);
    expect(this.world.plans.filter(({ state }) => state !== 'stopped' && state !== 'paused')).toEqual([]);
  }
}
