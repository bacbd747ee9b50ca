import { DynflowError, messageOf } from '@dynflow/kernel';
import type { Engine } from '@dynflow/engine';
import type { Database } from '@dynflow/persistence';
import type { BulkOptions, BulkResult, PlanFilter, PlanSelection, PlanSummary } from '@dynflow/plugin';

/** So many plans are changed in one turn of the engine. */
const SLICE = 100;
/** So many plans, or refusals, are shown of all. */
const SAMPLE = 10;

const UNFINISHED = ['pending', 'scheduled', 'planning', 'planned', 'running', 'paused'];

/**
 * Does the same with all plans that a filter finds: those that there are when it begins, the oldest first, in slices between which others
 * have their turn. One that refuses keeps no other from it.
 */
export class BulkOperations {
  readonly #engine: Pick<Engine, 'cancel' | 'resume'>;
  readonly #database: Pick<Database, 'reader' | 'deletePlans'>;

  constructor(engine: Pick<Engine, 'cancel' | 'resume'>, database: Pick<Database, 'reader' | 'deletePlans'>) {
    this.#engine = engine;
    this.#database = database;
  }

  /** What a filter finds: how many, how they stand, and the newest of them. @throws InvalidInputError for a filter that there is not. */
  async select(filter: PlanFilter): Promise<PlanSelection> {
    const { reader } = this.#database;
    const counts = await reader.counts(filter);
    const sample = await reader.list({ ...filter, orderBy: 'number', direction: 'descending', limit: SAMPLE });
    return { total: counts.reduce((sum, { count }) => sum + count, 0), counts, sample };
  }

  /** Cancels those that have not stopped. */
  async cancelWhere(filter: PlanFilter, options: BulkOptions & { force?: boolean } = {}): Promise<BulkResult> {
    const { force = false } = options;
    return this.#each(within(filter, UNFINISHED), options, async (plan) => (await this.#engine.cancel(plan, { force })) !== null);
  }

  /** Lets those go on that are paused. */
  async resumeWhere(filter: PlanFilter, options: BulkOptions = {}): Promise<BulkResult> {
    return this.#each(within(filter, ['paused']), options, async (plan) => {
      await this.#engine.resume(plan);
      return true;
    });
  }

  /** Deletes those that have stopped and that nobody needs any more (see `Database.deletePlans`). */
  async deleteWhere(filter: PlanFilter, options: BulkOptions = {}): Promise<BulkResult> {
    const selection = await this.select(within(filter, ['stopped']));
    if (options.preview === true) {
      return { ...selection, isPreview: true, done: 0, refused: 0, refusals: [] };
    }
    const done = await this.#database.deletePlans(filter, {
      onProgress: (deleted) => options.onProgress?.({ done: deleted, refused: 0, total: selection.total }),
    });
    return { ...selection, isPreview: false, done, refused: 0, refusals: [] };
  }

  /** `change` tells whether there was anything to do. */
  async #each(filter: PlanFilter, options: BulkOptions, change: (plan: string) => Promise<boolean>): Promise<BulkResult> {
    const selection = await this.select(filter);
    const result: BulkResult = { ...selection, isPreview: options.preview === true, done: 0, refused: 0, refusals: [] };
    if (result.isPreview) {
      return result;
    }
    for await (const plans of this.#slices(filter, selection.sample[0]?.number ?? 0)) {
      const outcomes = await Promise.allSettled(plans.map(async ({ id }) => change(id)));
      outcomes.forEach((outcome, index) => {
        if (outcome.status === 'fulfilled') {
          result.done += outcome.value ? 1 : 0;
          return;
        }
        result.refused += 1;
        if (result.refusals.length < SAMPLE) {
          const code = outcome.reason instanceof DynflowError ? outcome.reason.code : 'DYN_INTERNAL';
          result.refusals.push({ plan: plans[index]?.id ?? '', code, message: messageOf(outcome.reason) });
        }
      });
      options.onProgress?.({ done: result.done, refused: result.refused, total: selection.total });
    }
    return result;
  }

  /** All that fit up to the plan with that number: what is made meanwhile is not meant. */
  async *#slices(filter: PlanFilter, last: number): AsyncGenerator<PlanSummary[]> {
    for (let after: number | undefined; ;) {
      const page = await this.#database.reader.list({
        ...filter,
        orderBy: 'number',
        direction: 'ascending',
        limit: SLICE,
        ...(after === undefined ? {} : { after }),
      });
      const meant = page.filter(({ number }) => number <= last);
      if (meant.length > 0) {
        yield meant;
      }
      after = page.at(-1)?.number;
      if (meant.length < SLICE) {
        return;
      }
    }
  }
}

/** The same filter, for plans in these states only. */
function within(filter: PlanFilter, states: readonly string[]): PlanFilter {
  const { state } = filter;
  const asked = state === undefined ? null : typeof state === 'string' ? [state] : state;
  return { ...filter, state: asked === null ? states : states.filter((one) => asked.includes(one)) };
}
