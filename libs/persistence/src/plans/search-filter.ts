import type { OneOrMany, PlanFilter } from '@dynflow/contracts';
import type { Dialect } from '../entities/dialect.js';
import { attributeWord } from './row-values.js';

/*
 * What a filter is in SQL. `?` stands for a value, also where the database numbers its parameters.
 *
 * Of all that a plan is filtered by, one condition leads: the rows are found by its index, and the others are looked at in the rows.
 * SQLite knows nothing of how the values are spread, so it is told which one leads: a column that is written `+column` is not looked up.
 */

export type SearchValue = string | number | readonly string[];

export interface SqlPart {
  readonly text: string;
  readonly values: readonly SearchValue[];
}

/** Runs one reading statement; `?` stands for its values in their order. */
export type RunSearch = <Row>(statement: SqlPart) => Promise<Row[]>;

/** A condition that rows can be found by. */
export interface Lead {
  readonly name: 'id' | 'attribute' | 'caller_plan' | 'label' | 'result' | 'state';
  readonly words: readonly string[];
  /** Of an attribute. */
  readonly attribute?: string;
}

/** So many words are put into a statement one by one; more go in as one list. */
const WORDS_IN_TEXT = 12;

export function manyOf(words: OneOrMany): readonly string[] {
  return typeof words === 'string' ? [words] : [...new Set(words)];
}

/** `column` is one of these words. */
export function isOneOf(dialect: Dialect, column: string, words: readonly string[]): SqlPart {
  if (words.length === 0) {
    return { text: '1 = 0', values: [] };
  }
  if (words.length === 1) {
    return { text: `${column} = ?`, values: words };
  }
  if (words.length <= WORDS_IN_TEXT) {
    return { text: `${column} IN (${words.map(() => '?').join(', ')})`, values: words };
  }
  const list = dialect === 'sqlite' ? `IN (SELECT value FROM json_each(?))` : '= ANY (?::text[])';
  return { text: `${column} ${list}`, values: [dialect === 'sqlite' ? JSON.stringify(words) : words] };
}

/** What rows can be found by, the one that leaves the fewest first, as far as that can be guessed. */
export function leadsOf(filter: PlanFilter): Lead[] {
  const leads: Lead[] = [];
  if (filter.id !== undefined) {
    leads.push({ name: 'id', words: manyOf(filter.id) });
  }
  for (const [name, words] of Object.entries(filter.attributes ?? {})) {
    leads.push({ name: 'attribute', attribute: attributeWord(name), words: manyOf(words).map(attributeWord) });
  }
  if (filter.callerPlan !== undefined) {
    leads.push({ name: 'caller_plan', words: manyOf(filter.callerPlan) });
  }
  const states = statesOf(filter);
  const byState: Lead[] = states === null ? [] : [{ name: 'state', words: states }];
  const isBroad = states?.includes('stopped') ?? false;
  leads.push(...(isBroad ? [] : byState));
  if (filter.label !== undefined) {
    leads.push({ name: 'label', words: manyOf(filter.label) });
  }
  const results = filter.result === undefined ? null : manyOf(filter.result);
  if (results !== null && !results.includes('pending')) {
    leads.push({ name: 'result', words: results });
  }
  return [...leads, ...(isBroad ? byState : [])];
}

function statesOf({ state, isDelayed }: PlanFilter): readonly string[] | null {
  const states = state === undefined ? null : manyOf(state);
  return isDelayed === true ? (states ?? ['scheduled']).filter((one) => one === 'scheduled') : states;
}

/** From where plans are read, with the lead's condition where there is one. `words` are those of the lead that count. */
export function leading(dialect: Dialect, lead: Lead | null, words: readonly string[]): { from: string; where: SqlPart[] } {
  if (lead === null) {
    return { from: 'dynflow_execution_plans AS plan', where: [] };
  }
  if (lead.name === 'attribute') {
    const join = dialect === 'sqlite' ? 'CROSS JOIN' : 'JOIN';
    return {
      from: `dynflow_plan_attributes AS found ${join} dynflow_execution_plans AS plan ON plan.number = found.plan_number`,
      where: [{ text: 'found.name = ?', values: [lead.attribute ?? ''] }, isOneOf(dialect, 'found.value', words)],
    };
  }
  const where = [isOneOf(dialect, `plan.${lead.name}`, words)];
  if (lead.name === 'result') {
    // In these words the index is for these only.
    where.push({ text: "plan.result <> 'pending'", values: [] });
  }
  if (lead.name === 'caller_plan') {
    where.push({ text: 'plan.caller_plan IS NOT NULL', values: [] });
  }
  return { from: 'dynflow_execution_plans AS plan', where };
}

/** All other conditions. `found` names those whose times an index is to be used for. */
export function remaining(dialect: Dialect, filter: PlanFilter, lead: Lead | null, found: ReadonlySet<string>): SqlPart[] {
  const column = (name: string): string => `${dialect === 'sqlite' && !found.has(name) ? '+' : ''}plan.${name}`;
  const parts: SqlPart[] = [];
  for (const [name, words] of [
    ['id', filter.id],
    ['caller_plan', filter.callerPlan],
    ['state', filter.state],
    ['label', filter.label],
    ['result', filter.result],
  ] as const) {
    if (words !== undefined && lead?.name !== name) {
      parts.push(isOneOf(dialect, column(name), manyOf(words)));
    }
  }
  for (const [name, comparison, value] of [
    ['created_at', '>=', filter.createdFromMs],
    ['created_at', '<', filter.createdToMs],
    ['started_at', '>=', filter.startedFromMs],
    ['started_at', '<', filter.startedToMs],
    ['ended_at', '>=', filter.endedFromMs],
    ['ended_at', '<', filter.endedToMs],
    ['caller_action', '=', filter.callerAction],
  ] as const) {
    if (value !== undefined) {
      parts.push({ text: `${column(name)} ${comparison} ?`, values: [value] });
    }
  }
  if (filter.isDelayed !== undefined) {
    const delayed = `(${column('state')} = 'scheduled' AND plan.schedule IS NOT NULL)`;
    parts.push({ text: filter.isDelayed ? delayed : `NOT ${delayed}`, values: [] });
  }
  if (filter.labelContains !== undefined) {
    const found = dialect === 'sqlite' ? 'instr(lower(plan.label), lower(?)) > 0' : 'strpos(lower(plan.label), lower(?)) > 0';
    parts.push({ text: found, values: [filter.labelContains] });
  }
  for (const [name, words] of Object.entries(filter.attributes ?? {})) {
    if (lead?.attribute === attributeWord(name)) {
      continue;
    }
    const value = isOneOf(dialect, 'more.value', manyOf(words).map(attributeWord));
    parts.push({
      text: `EXISTS (SELECT 1 FROM dynflow_plan_attributes AS more WHERE more.plan_number = plan.number AND more.name = ? AND ${value.text})`,
      values: [attributeWord(name), ...value.values],
    });
  }
  return parts;
}

export function allOf(parts: readonly SqlPart[]): SqlPart {
  return {
    text: parts.length === 0 ? '' : ` WHERE ${parts.map(({ text }) => text).join(' AND ')}`,
    values: parts.flatMap(({ values }) => values),
  };
}
