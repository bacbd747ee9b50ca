import type { PlanFilter } from '@dynflow/contracts';
import type { Dialect } from '../entities/dialect.js';
import type { ExecutionPlanColumns } from '../entities/execution-plan.entity.js';
import { allOf, leading, remaining, type Lead, type SqlPart } from './search-filter.js';

/** A part of a list that is one statement. */
export interface Segment {
  readonly filter: PlanFilter;
  /** By which it is ordered. */
  readonly column: keyof ExecutionPlanColumns;
  readonly isAscending: boolean;
  /** Whether only plans with, or without, a value in that column are meant. */
  readonly has: 'any' | 'value' | 'null';
  /** It goes on after this plan. */
  readonly cursor: { readonly number: number; readonly place: string | number | null } | null;
}

/** What finds its plans; null: they are found in their order. */
type LedSegment = Segment & { readonly lead: Lead | null };

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

export type ShownColumns = Pick<ExecutionPlanColumns, (typeof SHOWN)[number]>;

/** Orders in which an index of all plans can be walked. */
const WALKED: ReadonlySet<string> = new Set(['number', 'created_at', 'started_at', 'ended_at', 'label', 'state']);

/** Leads whose index goes on with the number, and those that have one with the start as well. */
const NUMBERED: ReadonlySet<string> = new Set(['attribute', 'label', 'result', 'state']);
const STARTED: ReadonlySet<string> = new Set(['label', 'result', 'state']);

/** A lead of so many words is read word by word, each in its order, and merged. */
const BRANCHES = 12;

/** The lead's index has the plans in the order that is asked for. */
export function isCovered(lead: Lead, { column, has }: Segment): boolean {
  if (has === 'null' || lead.words.length > BRANCHES) {
    return false;
  }
  return column === 'number' ? NUMBERED.has(lead.name) : column === 'started_at' && STARTED.has(lead.name);
}

export function canBeWalked({ column, has }: Segment): boolean {
  return WALKED.has(column) && has !== 'null';
}

/** A page of a segment. Its numbers are found first, and what is shown then: so what is left out costs little. */
export function pageOf(dialect: Dialect, segment: LedSegment, limit: number, offset: number): SqlPart {
  const { lead } = segment;
  const direction = segment.isAscending ? 'ASC' : 'DESC';
  const words = lead?.words ?? [];
  const isMerged = lead !== null && words.length > 1 && isCovered(lead, segment);
  const ends = { text: ' LIMIT ? OFFSET ?', values: [limit, offset] };
  const branches = isMerged
    ? words.map((word) => rowsOf(dialect, segment, [word], { text: ' LIMIT ?', values: [limit + offset] }))
    : [rowsOf(dialect, segment, words, ends)];
  const page = isMerged
    ? `${branches.map(({ text }, index) => `SELECT number, place FROM (${text}) AS b${index}`).join(' UNION ALL ')} ` +
      `ORDER BY place ${direction}, number ${direction}${ends.text}`
    : branches.map(({ text }) => text).join();
  const join = dialect === 'sqlite' ? 'CROSS JOIN' : 'JOIN';
  return {
    text:
      `WITH page (number, place) AS (${page}) SELECT ${SHOWN.map((column) => `plan.${column}`).join(', ')} ` +
      `FROM page ${join} dynflow_execution_plans AS plan ON plan.number = page.number ` +
      `ORDER BY page.place ${direction}, page.number ${direction}`,
    values: [...branches.flatMap(({ values }) => values), ...(isMerged ? ends.values : [])],
  };
}

/** How many plans a segment has. */
export function sizeOf(dialect: Dialect, segment: LedSegment): SqlPart {
  const { text, values } = rowsOf(dialect, segment, segment.lead?.words ?? [], { text: '', values: [] });
  return { text: `SELECT count(*) AS count FROM (${text}) AS segment`, values };
}

/** Numbers and places of a segment, in order. */
function rowsOf(dialect: Dialect, segment: LedSegment, words: readonly string[], ends: SqlPart): SqlPart {
  const { lead, filter, has, cursor } = segment;
  const { from, where } = leading(dialect, lead, words);
  const number = lead?.name === 'attribute' ? 'found.plan_number' : 'plan.number';
  const isByPlace = has !== 'null' && segment.column !== 'number';
  const isWalked = lead === null || isCovered(lead, segment);
  const place = isByPlace ? `plan.${segment.column}` : number;
  const parts = [...where, ...remaining(dialect, filter, lead, new Set(isWalked ? [segment.column] : []))];
  if (has !== 'any') {
    const hint = dialect === 'sqlite' && !isWalked ? '+' : '';
    parts.push({ text: `${hint}plan.${segment.column} IS ${has === 'null' ? 'NULL' : 'NOT NULL'}`, values: [] });
  }
  if (cursor !== null) {
    const comparison = segment.isAscending ? '>' : '<';
    parts.push(
      isByPlace
        ? { text: `(${place}, ${number}) ${comparison} (?, ?)`, values: [cursor.place ?? '', cursor.number] }
        : { text: `${number} ${comparison} ?`, values: [cursor.number] },
    );
  }
  const direction = segment.isAscending ? 'ASC' : 'DESC';
  const order = isByPlace ? `${place} ${direction}, ${number} ${direction}` : `${number} ${direction}`;
  const all = allOf(parts);
  return {
    text: `SELECT ${number} AS number, ${place} AS place FROM ${from}${all.text} ORDER BY ${order}${ends.text}`,
    values: [...all.values, ...ends.values],
  };
}
