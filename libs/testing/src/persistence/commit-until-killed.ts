import { openDatabase } from '@dynflow/persistence';
import { actionRow, changes, chunkRow, planRow, stepRow } from './rows.js';

/** How many plans one commit makes: large enough that a kill at any time most likely hits the middle of one. */
const PLANS = 50;

/**
 * Writes to a database without end: each commit makes plans and ends those of the commit before. After each it acknowledges what is
 * durable, one line with the ids that were made.
 */
export async function main([url = '']: string[]): Promise<void> {
  const { plans } = await openDatabase({ url });
  let previous: string[] = [];
  for (;;) {
    const made = Array.from({ length: PLANS }, () => planRow());
    const ids = made.map(({ id }) => id);
    await plans.commit(
      changes({
        newPlans: made,
        newActions: ids.flatMap((id) => [1, 2, 3].map((action) => actionRow(id, { id: action, runStep: action, chunksAs: 'result' }))),
        newSteps: ids.flatMap((id) => [1, 2, 3].map((step) => stepRow(id, { id: step, action: step }))),
        plans: previous.map((id) => planRow({ id, state: 'stopped', result: 'success' })),
        steps: previous.flatMap((id) => [1, 2, 3].map((step) => stepRow(id, { id: step, state: 'success' }))),
        chunks: previous.map((id) => chunkRow(id, { action: 3 })),
      }),
    );
    // Synchronous: what was acknowledged is in the pipe, whatever happens next.
    process.stdout.write(`${ids.join(' ')}\n`);
    previous = ids;
  }
}
