import { InvalidInputError } from '@dynflow/kernel';
import type { PlanFilter, PlanQuery } from '@dynflow/contracts';

type Check = (field: string, value: unknown) => void;

const refuse = (field: string, expected: string): never => {
  throw new InvalidInputError(field, `${field}: ${expected}`);
};

const isWord = (value: unknown): boolean => typeof value === 'string';

const words: Check = (field, value) => {
  if (!isWord(value) && !(Array.isArray(value) && value.every(isWord))) {
    refuse(field, 'expected a word or a list of words');
  }
};
const text: Check = (field, value) => {
  if (!isWord(value)) {
    refuse(field, 'expected text');
  }
};
const time: Check = (field, value) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    refuse(field, 'expected a time in epoch milliseconds');
  }
};
const truth: Check = (field, value) => {
  if (typeof value !== 'boolean') {
    refuse(field, 'expected true or false');
  }
};
const count =
  (least: number): Check =>
  (field, value) => {
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      refuse(field, `expected a whole number of at least ${least}`);
    }
  };
const oneOf =
  (...allowed: string[]): Check =>
  (field, value) => {
    if (!allowed.includes(value as string)) {
      refuse(field, `expected one of ${allowed.join(', ')}`);
    }
  };
const attributes: Check = (field, value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(field, 'expected the words by their names');
  }
  Object.entries(value as object).forEach(([name, one]) => words(`${field}.${name}`, one));
};

const FILTERS: Readonly<Record<keyof PlanFilter, Check>> = {
  id: words,
  state: words,
  result: words,
  label: words,
  labelContains: text,
  callerPlan: words,
  callerAction: count(0),
  isDelayed: truth,
  createdFromMs: time,
  createdToMs: time,
  startedFromMs: time,
  startedToMs: time,
  endedFromMs: time,
  endedToMs: time,
  attributes,
};

const QUERIES: Readonly<Record<keyof PlanQuery, Check>> = {
  ...FILTERS,
  orderBy: oneOf('number', 'createdAt', 'startedAt', 'endedAt', 'label', 'state', 'result', 'executionTime'),
  direction: oneOf('ascending', 'descending'),
  after: count(0),
  offset: count(0),
  limit: count(1),
};

/** @throws InvalidInputError naming the filter that there is not, or that does not fit. */
export function checkFilter(filter: PlanFilter): PlanFilter {
  return check(filter, FILTERS, 'filter');
}

/** The same for a page, with its order. */
export function checkQuery(query: PlanQuery): PlanQuery {
  QUERIES.limit('limit', query.limit);
  return check(query, QUERIES, 'filter or order');
}

function check<T extends PlanFilter>(given: T, known: Readonly<Record<string, Check>>, what: string): T {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [field, value] of entries) {
    if (!Object.hasOwn(known, field)) {
      refuse(field, `there is no such ${what}; there are ${Object.keys(known).join(', ')}`);
    }
    known[field]?.(field, value);
  }
  if (given.callerAction !== undefined && given.callerPlan === undefined) {
    refuse('callerAction', 'goes only with callerPlan');
  }
  return Object.fromEntries(entries) as unknown as T;
}
