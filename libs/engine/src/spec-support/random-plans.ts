import fc from 'fast-check';
import type { JsonObject } from '@dynflow/kernel';
import type { LocalResult, PlanNode, RetryPolicy, SubPlanRequest } from '@dynflow/contracts';
import { done, failed, suspended, type EngineWorld } from '@dynflow/testing/engine';

/** At most two of the steps that share it. */
export const LIMIT = { name: 'few', concurrency: 2 };
/** At most three begin within a second. */
export const RATE = { name: 'slowly', rate: { count: 3, perMs: 1_000 } };
/** Actions that share the limit. */
export const LIMITED = new Set(['p.Retried', 'p.Limited', 'gw.Retried']);

export const leaves = [
  'p.Plain',
  'p.Cancellable',
  'p.Abandoned',
  'p.Resumable',
  'p.Idempotent',
  'p.Finalized',
  'p.Judged',
  'p.Skip',
  'p.Fail',
  'p.Retried',
  'p.Limited',
  'p.Timed',
  'gw.Retried',
  'p.Single',
  'p.Asked',
  'gw.Wait',
  'gw.Now',
];

type Tree = { leaf: string; needsLast: boolean } | { kind: 'sequence' | 'concurrence' | 'action'; trees: Tree[] };

export const tree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.record({ leaf: fc.constantFrom(...leaves), needsLast: fc.boolean() }),
    fc.record({
      kind: fc.constantFrom('sequence' as const, 'concurrence' as const, 'action' as const),
      trees: fc.array(tie('tree'), { maxLength: 4 }),
    }),
  ),
})).tree;

/** The trees as nodes of one body; an inner action is declared on the way. */
export function bodyOf(world: EngineWorld, trees: readonly Tree[], names = { count: 0, last: '' }): PlanNode[] {
  return trees.map((item): PlanNode => {
    if ('leaf' in item) {
      const input: JsonObject = item.needsLast && names.last !== '' ? { from: { $output: names.last, path: ['x'] } } : {};
      names.count += 1;
      names.last = `n${names.count}`;
      return { kind: 'action', action: item.leaf, input, as: names.last };
    }
    if (item.kind === 'action') {
      const action = `p.Inner${world.ids.uuid().slice(-6)}`;
      world.actions.composite(action, bodyOf(world, item.trees));
      return { kind: 'action', action, input: {} };
    }
    return { kind: item.kind, nodes: bodyOf(world, item.trees, names) };
  });
}

export function declareLeaves(world: EngineWorld): void {
  const abandonedOutput = { status: 'abandoned' };
  world.actions.executor('p.Plain');
  world.actions.executor('p.Cancellable', { cancellable: true });
  world.actions.executor('p.Abandoned', { cancellable: true, abandonedOutput, chunksAs: 'result' });
  world.actions.executor('p.Resumable', { cancellable: true, resumable: true });
  world.actions.executor('p.Idempotent', { idempotent: true, finalize: { kind: 'run' } });
  world.actions.executor('p.Finalized', { cancellable: true, abandonedOutput, finalize: { kind: 'run' }, rescueStrategy: 'Skip' });
  world.actions.executor('p.Judged', {
    finalize: { kind: 'failUnless', output: 'bad', equals: null, message: 'bad' },
    rescueStrategy: 'Fail',
  });
  world.actions.executor('p.Skip', { rescueStrategy: 'Skip' });
  world.actions.executor('p.Fail', { rescueStrategy: 'Fail' });
  const retry: RetryPolicy = { maxAttempts: 3, backoffMs: 200, factor: 2, maxBackoffMs: 500, jitter: 0.5, on: ['retryable', 'unknown'] };
  world.actions.executor('p.Retried', { retry, idempotent: true, cancellable: true, limits: [LIMIT] });
  world.actions.executor('p.Limited', { limits: [LIMIT, RATE], resumable: true, cancellable: true });
  world.actions.executor('p.Timed', { timeLimits: { waitMs: 3_000, startMs: 900, runMs: 1_500, silentMs: 700 }, retry });
  world.actions.local(
    'gw.Retried',
    ({ event, attempt }): LocalResult => {
      if (event === undefined) {
        return suspended({ wakeAfterMs: 100 });
      }
      return attempt % 3 === 0
        ? done()
        : { outcome: { kind: 'failed', error: { errorClass: 'E', message: 'again', kind: 'retryable' } }, commands: [] };
    },
    { retry, limits: [LIMIT], cancellable: true },
  );
  world.actions.executor('p.Single', { singleton: true });
  world.actions.asked('p.Asked', () => [{ kind: 'action', action: 'p.Cancellable', input: {} }]);
  world.actions.local('gw.Now', () => done({ x: 1 }));
  world.actions.local(
    'gw.Wait',
    ({ event }): LocalResult => {
      switch (event?.kind) {
        case undefined:
          return suspended({ wakeAfterMs: 500, commands: [{ kind: 'effect', name: 'ping', payload: null }] });
        case 'external':
          return event.data === 'fail' ? failed('told to') : done();
        case 'cancel':
          return event.force ? done({ x: 'forced' }) : suspended();
        case 'timer':
          return suspended();
        case 'effect':
        case 'spawned':
        case 'subPlans':
          return suspended();
      }
    },
    { cancellable: true },
  );
  world.actions.local(
    'gw.Batch',
    ({ event, input }): LocalResult => {
      const { children, limit } = input as unknown as { children: SubPlanRequest[]; limit: number };
      if (event === undefined) {
        return suspended({ commands: [{ kind: 'spawn', children, concurrencyLimit: limit }] });
      }
      return event.kind === 'subPlans' && event.counts.pending === 0 ? done({ ...event.counts }) : suspended();
    },
    { cancellable: true },
  );
}
