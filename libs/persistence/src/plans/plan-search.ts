import { InvalidInputError } from '@dynflow/kernel';
import type { PlanCount, PlanFilter, PlanOrder, PlanQuery, PlanSummary } from '@dynflow/contracts';
import type { Dialect } from '../entities/dialect.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import { checkFilter, checkQuery } from './check-query.js';
import { allOf, leadOf, leading, remaining, type Lead, type SqlPart } from './search-filter.js';

/** Runs one reading statement; `?` stands for its values in their order. */
export type RunSearch = <Row>(statement: SqlPart) => Promise<Row[]>;

const SHOWN = [
  'number',
  'id',
  'label',
  'state',
  'result',
  'created_at',
  'started_at',
  'ended_at',
  'execution_time',
  'caller_plan',
  'caller_action',
  'waiting_for',
  'attributes',
] as const satisfies (keyof ExecutionPlanColumns)[];

const COLUMNS: Readonly<Record<PlanOrder, keyof ExecutionPlanColumns>> = {
  number: 'number',
  startedAt: 'started_at',
  endedAt: 'ended_at',
  label: 'label',
  state: 'state',
  result: 'result',
  executionTime: 'execution_time',
};

/** Orders in which an index of all plans can be walked. */
const WALKED: ReadonlySet<string> = new Set(['number', 'started_at', 'ended_at', 'label', 'state']);

/** Leads whose index goes on with the number, and those that have one with the start as well. */
const NUMBERED: ReadonlySet<string> = new Set(['attribute', 'label', 'result', 'state']);
const STARTED: ReadonlySet<string> = new Set(['label', 'result', 'state']);

/** A lead of so many words is read word by word, each in its order, and merged. */
const BRANCHES = 12;

/** All states in which a plan has not ended. */
const UNENDED = ['pending', 'scheduled', 'planning', 'planned', 'running', 'paused'];

/** Finds plans by what they are: lists, counts, states. Every list is read along an index, as far as the page goes. */
export class PlanSearch {
  readonly #dialect: Dialect;
  readonly #run: RunSearch;

  constructor(dialect: Dialect, run: RunSearch) {
    this.#dialect = dialect;
    this.#run = run;
  }

  /** @throws InvalidInputError naming the field. */
  async list(asked: PlanQuery): Promise<PlanSummary[]> {
    const query = checkQuery(asked);
    const found: PlanSummary[] = [];
    let offset = query.offset ?? 0;
    for (const segment of await this.#segments(query)) {
      const rows = await this.#run<ShownColumns>(this.#page(segment, query.limit - found.length, offset));
      found.push(...rows.map(summary));
      if (found.length >= query.limit) {
        break;
      }
      offset = rows.length > 0 || offset === 0 ? 0 : Math.max(0, offset - (await this.#size(segment)));
    }
    return found;
  }

  async count(filter: PlanFilter): Promise<number> {
    const [row] = await this.#run<{ count: number | string }>(this.#select('count(*) AS count', checkFilter(filter)));
    return Number(row?.count ?? 0);
  }

  async counts(filter: PlanFilter): Promise<PlanCount[]> {
    const { text, values } = this.#select('plan.state AS state, plan.result AS result, count(*) AS count', checkFilter(filter));
    const rows = await this.#run<PlanCount>({ text: `${text} GROUP BY plan.state, plan.result ORDER BY 1, 2`, values });
    return rows.map(({ state, result, count }) => ({ state, result, count: Number(count) }));
  }

  async states(filter: PlanFilter): Promise<Pick<PlanSummary, 'id' | 'state' | 'result'>[]> {
    return this.#run(this.#select('plan.id AS id, plan.state AS state, plan.result AS result', checkFilter(filter)));
  }

  /** All that fit, in no order. */
  #select(columns: string, filter: PlanFilter): SqlPart {
    const lead = leadOf(filter);
    const { from, where } = leading(this.#dialect, lead, lead?.words ?? []);
    const times = new Set(lead === null ? ['started_at', 'ended_at'] : lead.name === 'state' ? ['started_at'] : []);
    const all = allOf([...where, ...remaining(this.#dialect, filter, lead, times)]);
    return { text: `SELECT ${columns} FROM ${from}${all.text}`, values: all.values };
  }

  /** A list in an order that has null in it is two: those with a value and those without, which come first when it ascends. */
  async #segments(query: PlanQuery): Promise<Segment[]> {
    const column = COLUMNS[query.orderBy ?? 'number'];
    const isAscending = query.direction === 'ascending';
    const cursor = query.after === undefined ? null : await this.#cursor(query.after, column);
    const base = { filter: query, column, isAscending };
    if (column !== 'started_at' && column !== 'ended_at') {
      return [{ ...base, has: 'any', cursor }];
    }
    const withValue: Segment = { ...base, has: 'value', cursor };
    const without: Segment = { ...base, has: 'null', cursor };
    if (isAlwaysThere(column, query)) {
      return [withValue];
    }
    const [first, second] = isAscending ? [without, withValue] : [withValue, without];
    if (cursor === null) {
      return [first, second];
    }
    return (cursor.place === null) === (first.has === 'null') ? [first, { ...second, cursor: null }] : [second];
  }

  async #cursor(number: number, column: string): Promise<Cursor> {
    if (column === 'number') {
      return { number, place: number };
    }
    const text = `SELECT plan.${column} AS place FROM dynflow_execution_plans AS plan WHERE plan.number = ?`;
    const [row] = await this.#run<{ place: string | number | null }>({ text, values: [number] });
    if (row === undefined) {
      throw new InvalidInputError('after', `after: the plan with the number ${number} is gone; begin anew`);
    }
    return { number, place: row.place };
  }

  #page(segment: Segment, limit: number, offset: number): SqlPart {
    const { lead } = this.#plan(segment);
    const direction = segment.isAscending ? 'ASC' : 'DESC';
    const words = lead?.words ?? [];
    const isMerged = lead !== null && isCovered(lead, segment) && lead.name !== 'id' && words.length > 1 && words.length <= BRANCHES;
    const ends = { text: ' LIMIT ? OFFSET ?', values: [limit, offset] };
    const branches = isMerged
      ? words.map((word) => this.#rows(segment, [word], { text: ' LIMIT ?', values: [limit + offset] }))
      : [this.#rows(segment, words, ends)];
    const page = isMerged
      ? `${branches.map(({ text }, index) => `SELECT number, place FROM (${text}) AS b${index}`).join(' UNION ALL ')} ` +
        `ORDER BY place ${direction}, number ${direction}${ends.text}`
      : branches.map(({ text }) => text).join();
    const join = this.#dialect === 'sqlite' ? 'CROSS JOIN' : 'JOIN';
    return {
      text:
        `WITH page (number, place) AS (${page}) SELECT ${SHOWN.map((column) => `plan.${column}`).join(', ')} ` +
        `FROM page ${join} dynflow_execution_plans AS plan ON plan.number = page.number ` +
        `ORDER BY page.place ${direction}, page.number ${direction}`,
      values: [...branches.flatMap(({ values }) => values), ...(isMerged ? ends.values : [])],
    };
  }

  async #size(segment: Segment): Promise<number> {
    const { text, values } = this.#rows(segment, this.#plan(segment).lead?.words ?? [], { text: '', values: [] });
    const [row] = await this.#run<{ count: number | string }>({ text: `SELECT count(*) AS count FROM (${text}) AS segment`, values });
    return Number(row?.count ?? 0);
  }

  /** Numbers and places of a segment, in order. */
  #rows(segment: Segment, words: readonly string[], ends: SqlPart): SqlPart {
    const { lead, filter } = this.#plan(segment);
    const { from, where } = leading(this.#dialect, lead, words);
    const number = lead?.name === 'attribute' ? 'found.plan_number' : 'plan.number';
    const isOrdered = segment.has !== 'null' && segment.column !== 'number';
    const isLookedUp = isOrdered && (lead === null || isCovered(lead, segment));
    const column = isOrdered ? `plan.${segment.column}` : number;
    const parts = [...where, ...remaining(this.#dialect, filter, lead, new Set(isLookedUp || lead === null ? [segment.column] : []))];
    if (segment.has !== 'any') {
      const hint = this.#dialect === 'sqlite' && !isLookedUp && lead !== null ? '+' : '';
      parts.push({ text: `${hint}plan.${segment.column} IS ${segment.has === 'null' ? 'NULL' : 'NOT NULL'}`, values: [] });
    }
    if (segment.cursor !== null) {
      const comparison = segment.isAscending ? '>' : '<';
      parts.push(
        isOrdered
          ? { text: `(${column}, ${number}) ${comparison} (?, ?)`, values: [segment.cursor.place ?? '', segment.cursor.number] }
          : { text: `${number} ${comparison} ?`, values: [segment.cursor.number] },
      );
    }
    const direction = segment.isAscending ? 'ASC' : 'DESC';
    const order = isOrdered ? `${column} ${direction}, ${number} ${direction}` : `${number} ${direction}`;
    const all = allOf(parts);
    return {
      text: `SELECT ${number} AS number, ${column} AS place FROM ${from}${all.text} ORDER BY ${order}${ends.text}`,
      values: [...all.values, ...ends.values],
    };
  }

  /** What leads in this segment. A lead that is expected to leave many plans, unsorted, gives way to the index of the order. */
  #plan(segment: Segment): { lead: Lead | null; filter: PlanFilter } {
    const { limit: _limit, offset: _offset, after: _after, orderBy: _orderBy, direction: _direction, ...asked } = segment.filter;
    // What has not ended has not stopped, and of that there is little.
    const isUnended = segment.column === 'ended_at' && segment.has === 'null' && asked.state === undefined;
    const filter = isUnended ? { ...asked, state: UNENDED } : asked;
    const lead = leadOf(filter);
    const isSorted = lead !== null && !lead.isNarrow && !isCovered(lead, segment) && WALKED.has(segment.column);
    return { lead: isSorted ? null : lead, filter };
  }
}

interface Cursor {
  readonly number: number;
  readonly place: string | number | null;
}

/** A part of a list that is one statement. */
interface Segment {
  readonly filter: PlanQuery;
  readonly column: keyof ExecutionPlanColumns;
  readonly isAscending: boolean;
  readonly has: 'any' | 'value' | 'null';
  readonly cursor: Cursor | null;
}

type ShownColumns = Pick<ExecutionPlanColumns, (typeof SHOWN)[number]>;

/** The lead's index has the plans in the order that is asked for. */
function isCovered(lead: Lead, { column, has }: Segment): boolean {
  const isByNumber = column === 'number' || has === 'null';
  return isByNumber ? NUMBERED.has(lead.name) && has !== 'null' : column === 'started_at' && STARTED.has(lead.name);
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
    attributes: JSON.parse(columns.attributes) as PlanSummary['attributes'],
  };
}
