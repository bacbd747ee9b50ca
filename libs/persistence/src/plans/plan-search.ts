import { InvalidInputError } from '@dynflow/kernel';
import type { PlanCount, PlanFilter, PlanOrder, PlanQuery, PlanSummary } from '@dynflow/contracts';
import type { Dialect } from '../entities/dialect.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import { checkFilter, checkQuery } from './check-query.js';
import { FEW, SearchChoice } from './search-choice.js';
import { allOf, leadsOf, leading, remaining, type RunSearch, type SqlPart } from './search-filter.js';
import { StoredJson } from './stored-json.js';
import { canBeWalked, isCovered, pageOf, sizeOf, type Segment, type ShownColumns } from './search-page.js';

const COLUMNS: Readonly<Record<PlanOrder, keyof ExecutionPlanColumns>> = {
  number: 'number',
  createdAt: 'created_at',
  startedAt: 'started_at',
  endedAt: 'ended_at',
  label: 'label',
  state: 'state',
  result: 'result',
  executionTime: 'execution_time',
};

/** All states in which a plan has not ended. */
const UNENDED = ['pending', 'scheduled', 'planning', 'planned', 'running', 'paused'];

/** Finds plans by what they are: lists, counts, states. A list is read along an index, as far as the page goes. */
export class PlanSearch {
  readonly #dialect: Dialect;
  readonly #run: RunSearch;
  readonly #choice: SearchChoice;

  /** `few`: see `SearchChoice`. */
  constructor(dialect: Dialect, run: RunSearch, few = FEW) {
    this.#dialect = dialect;
    this.#run = run;
    this.#choice = new SearchChoice(dialect, run, few);
  }

  /** @throws InvalidInputError naming the field. */
  async list(asked: PlanQuery): Promise<PlanSummary[]> {
    const { limit, offset: left = 0, after, orderBy, direction, ...given } = checkQuery(asked);
    const filter = await this.#choice.withLabels(given);
    const column = COLUMNS[orderBy ?? orderOf(filter)];
    const cursor = after === undefined ? null : { number: after, place: await this.#placeOf(after, column) };
    const found: PlanSummary[] = [];
    let offset = left;
    for (const part of segments({ filter, column, isAscending: direction === 'ascending', has: 'any', cursor })) {
      const lead = await this.#choice.leadOf(part.filter, (one) => isCovered(one, part), canBeWalked(part));
      const segment = { ...part, lead };
      const rows = await this.#run<ShownColumns>(pageOf(this.#dialect, segment, limit - found.length, offset));
      found.push(...rows.map(summary));
      if (found.length >= limit) {
        break;
      }
      offset = rows.length > 0 || offset === 0 ? 0 : Math.max(0, offset - (await this.#countOf(sizeOf(this.#dialect, segment))));
    }
    return found;
  }

  async count(filter: PlanFilter): Promise<number> {
    return this.#countOf(await this.#select('count(*) AS count', filter));
  }

  async counts(filter: PlanFilter): Promise<PlanCount[]> {
    const { text, values } = await this.#select('plan.state AS state, plan.result AS result, count(*) AS count', filter);
    // Where plans are found by something else, SQLite is not to read all of them in the order of the groups.
    const isFoundByGroup = Object.keys(filter).every((name) => name === 'state') || this.#dialect === 'postgres';
    const groups = isFoundByGroup ? 'plan.state, plan.result' : '+plan.state, +plan.result';
    const rows = await this.#run<PlanCount>({ text: `${text} GROUP BY ${groups} ORDER BY 1, 2`, values });
    return rows.map(({ state, result, count }) => ({ state, result, count: Number(count) }));
  }

  async states(filter: PlanFilter): Promise<Pick<PlanSummary, 'id' | 'state' | 'result'>[]> {
    return this.#run(await this.#select('plan.id AS id, plan.state AS state, plan.result AS result', filter));
  }

  /** All that fit, in no order. */
  async #select(columns: string, asked: PlanFilter): Promise<SqlPart> {
    const filter = await this.#choice.withLabels(checkFilter(asked));
    const [lead = null] = leadsOf(filter);
    const { from, where } = leading(this.#dialect, lead, lead?.words ?? []);
    const times = new Set(lead === null ? ['created_at', 'started_at', 'ended_at'] : lead.name === 'state' ? ['started_at'] : []);
    const all = allOf([...where, ...remaining(this.#dialect, filter, lead, times)]);
    return { text: `SELECT ${columns} FROM ${from}${all.text}`, values: all.values };
  }

  async #countOf(statement: SqlPart): Promise<number> {
    const [row] = await this.#run<{ count: number | string }>(statement);
    return Number(row?.count ?? 0);
  }

  /** Where the plan stands in the order. @throws InvalidInputError if it is gone. */
  async #placeOf(number: number, column: string): Promise<string | number | null> {
    if (column === 'number') {
      return number;
    }
    const text = `SELECT plan.${column} AS place FROM dynflow_execution_plans AS plan WHERE plan.number = ?`;
    const [row] = await this.#run<{ place: string | number | null }>({ text, values: [number] });
    if (row === undefined) {
      throw new InvalidInputError('after', `after: the plan with the number ${number} is gone; begin anew`);
    }
    return row.place;
  }
}

function orderOf(filter: PlanFilter): PlanOrder {
  const isGiven = (...times: (number | undefined)[]): boolean => times.some((time) => time !== undefined);
  if (isGiven(filter.startedFromMs, filter.startedToMs)) {
    return 'startedAt';
  }
  if (isGiven(filter.endedFromMs, filter.endedToMs)) {
    return 'endedAt';
  }
  return isGiven(filter.createdFromMs, filter.createdToMs) ? 'createdAt' : 'number';
}

/** A list in an order that has null in it is two: those with a value and those without, which come first when it ascends. */
function segments(whole: Segment): Segment[] {
  const { column, filter, isAscending, cursor } = whole;
  if (column !== 'started_at' && column !== 'ended_at') {
    return [whole];
  }
  const withValue: Segment = { ...whole, has: 'value' };
  if (isAlwaysThere(column, filter)) {
    return [withValue];
  }
  // What has not ended has not stopped, and of that there is little.
  const unended = column === 'ended_at' && filter.state === undefined ? { ...filter, state: UNENDED } : filter;
  const without: Segment = { ...whole, has: 'null', filter: unended };
  const [first, second] = isAscending ? [without, withValue] : [withValue, without];
  if (cursor === null) {
    return [first, second];
  }
  return (cursor.place === null) === (first.has === 'null') ? [first, { ...second, cursor: null }] : [second];
}

function isAlwaysThere(column: string, { startedFromMs, startedToMs, endedFromMs, endedToMs, state }: PlanFilter): boolean {
  return column === 'started_at'
    ? startedFromMs !== undefined || startedToMs !== undefined
    : endedFromMs !== undefined || endedToMs !== undefined || state === 'stopped';
}

function summary(columns: ShownColumns): PlanSummary {
  return {
    // PostgreSQL gives its 64-bit numbers as text.
    number: Number(columns.number),
    id: columns.id,
    label: columns.label,
    // The casts are the promise of those who write: only this library does.
    state: columns.state as PlanSummary['state'],
    result: columns.result as PlanSummary['result'],
    createdAtMs: columns.created_at,
    startedAtMs: columns.started_at,
    endedAtMs: columns.ended_at,
    executionTimeMs: columns.execution_time,
    callerPlan: columns.caller_plan,
    callerAction: columns.caller_action,
    waitingFor: columns.waiting_for,
    attributes: new StoredJson().read<PlanSummary['attributes']>('attributes', columns.attributes, {}),
  };
}
