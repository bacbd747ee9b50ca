import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { History, move } from './spec-support/history.js';
import { bodyOf, leaves, tree } from './spec-support/random-plans.js';

/** How long each property may look for a counterexample. */
const TIME_LIMIT_MS = 1_500;

describe('whatever happens', () => {
  it('to a random plan: the tables hold, no attempt is granted twice, results follow from steps, and it comes to rest', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(tree, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        fc.boolean(),
        fc.array(move, { maxLength: 40 }),
        async (trees, isExternal, isAsync, moves) => {
          runs += 1;
          const history = new History();
          const { world } = history;
          world.store.isAsync = isAsync;
          world.actions.composite('p.Root', bodyOf(world, trees));
          await world.trigger('p.Root', {}, { isExternal });
          for (const each of moves) {
            await history.make(each);
          }
          history.assertAllHeld(await history.answerAll());
        },
      ),
      { numRuns: 300, interruptAfterTimeLimit: TIME_LIMIT_MS },
    );
    // Many more, unless the machine is very busy.
    expect(runs).toBeGreaterThan(3);
  });

  it('to random sub-plans: the same, and the counts are right in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...leaves), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        fc.array(move, { maxLength: 40 }),
        async (actions, limit, isAsync, moves) => {
          const history = new History();
          const { world } = history;
          world.store.isAsync = isAsync;
          const children = actions.map((action, index) => ({ id: `child-${index}`, action, input: {} }));
          const root = await world.trigger('gw.Batch', { children, limit });
          const mayExceed = moves.some(({ what }) => what === 'resume' || what === 'cancel');
          for (const each of moves) {
            await history.make(each);
            const running = world.plans.filter(({ row, state }) => row.callerPlan === root && state === 'running').length;
            if (!mayExceed && running > limit) {
              history.watch.broken.push(`${running} of ${limit} run`);
            }
          }
          history.assertAllHeld(await history.answerAll());
          const siblings = world.plans.filter(({ row }) => row.callerPlan === root);
          const success = siblings.filter(({ result }) => result === 'success').length;
          const total = children.length;
          const { verdict } = world.plan(root);
          const told = verdict === 'stopped/success' ? world.plan(root).output() : { total, success };
          // One that was resumed or skipped after its caller had ended was counted as it was then.
          const isExact = !moves.some(({ what }) => what === 'resume' || what === 'skip');
          expect({ total: told['total'], success: isExact ? told['success'] : success }).toEqual({ total, success });
        },
      ),
      { numRuns: 300, interruptAfterTimeLimit: TIME_LIMIT_MS },
    );
  });
});
