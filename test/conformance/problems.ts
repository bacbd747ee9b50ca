import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, type Behaviour, type Mutation, type Section } from './catalogue.js';
import type { NamedTest } from './named-tests.js';

/** At most one behaviour of Dynflow's own suite in five may have a reason instead of a test. */
export const MAX_REASONS_SHARE = 0.2;

/** The section of what Dynflow itself does not test; the share of reasons is counted without it. */
export const ADDED_PREFIX = 'N';

/** All that is wrong with the catalogue and the tests, in words; empty when all is well. */
export function problemsOf(sections: readonly Section[], tests: readonly NamedTest[]): string[] {
  const entries = sections.flatMap(({ ids }) => ids);
  const ids = new Set(entries.map(({ id }) => id));
  // As long as there is work left, a mutation may come later than its test.
  const isComplete = !entries.some(({ todo }) => todo === true);
  return [
    ...doubled(entries.map(({ id }) => id)).map((id) => `${id} stands twice in the catalogue`),
    ...sections.flatMap(numberingProblems),
    ...doubled(tests.map(({ id }) => id)).map((id) => `${id} has several tests: ${placesOf(id, tests)}`),
    ...tests.filter(({ id }) => !ids.has(id)).map(({ id, file, line }) => `${file}:${line} names ${id}, which is not in the catalogue`),
    ...entries.flatMap((entry) => problemsOfEntry(entry, tests)),
    ...(isComplete ? unmutated(entries, tests).map((id) => `${id} has a test, but nothing says how to break what it tests`) : []),
    ...reasonProblems(sections),
  ];
}

/** Ids with a test of which nothing says how to break what it tests. */
export function unmutated(entries: readonly Behaviour[], tests: readonly NamedTest[]): string[] {
  const tested = new Set(tests.map(({ id }) => id));
  return entries.filter(({ id, mutation }) => tested.has(id) && mutation === undefined).map(({ id }) => id);
}

function numberingProblems({ prefix, ids, file }: Section): string[] {
  return ids.filter(({ id }, index) => id !== `${prefix}${index + 1}`).map(({ id }) => `${file}: ${id} is not where it belongs`);
}

function problemsOfEntry(entry: Behaviour, tests: readonly NamedTest[]): string[] {
  const { id, behaviour, reason, todo, mutation } = entry;
  const hasTest = tests.some((test) => test.id === id);
  const problems: string[] = [];
  if (behaviour.trim() === '' || reason?.trim() === '') {
    problems.push(`${id} says nothing`);
  }
  if (todo === true && (hasTest || reason !== undefined)) {
    problems.push(`${id} is marked as open and is not: npm run conformance sees to that`);
  } else if ([hasTest, reason !== undefined, todo === true].filter(Boolean).length !== 1) {
    problems.push(`${id} must have either a test or a reason`);
  }
  if (mutation !== undefined) {
    problems.push(...mutationProblems(id, mutation));
  }
  return problems;
}

function mutationProblems(id: string, { file, find, replace, spec }: Mutation): string[] {
  const problems: string[] = [];
  if (/\.spec\.ts$|^test\/|^libs\/testing\/|\/spec-support\//.test(file)) {
    problems.push(`${id}: its mutation changes ${file}, which is not the product`);
  }
  const count = textOf(file).split(find).length - 1;
  if (count !== 1 || find === replace) {
    problems.push(`${id}: what its mutation replaces stands ${count} times in ${file}: ${find}`);
  }
  if (spec !== undefined && textOf(spec) === '') {
    problems.push(`${id}: its mutation names ${spec}, which is not there`);
  }
  return problems;
}

const texts = new Map<string, string>();

function textOf(file: string): string {
  let text = texts.get(file);
  if (text === undefined) {
    try {
      text = readFileSync(join(root, file), 'utf8');
    } catch {
      text = '';
    }
    texts.set(file, text);
  }
  return text;
}

function reasonProblems(sections: readonly Section[]): string[] {
  const counted = sections.filter(({ prefix }) => prefix !== ADDED_PREFIX).flatMap(({ ids }) => ids);
  const reasons = counted.filter(({ reason }) => reason !== undefined).length;
  const limit = Math.floor(counted.length * MAX_REASONS_SHARE);
  return reasons > limit ? [`${reasons} of ${counted.length} have a reason instead of a test: more than ${limit}`] : [];
}

function doubled(ids: readonly string[]): string[] {
  return [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))];
}

function placesOf(id: string, tests: readonly NamedTest[]): string {
  return tests
    .filter((test) => test.id === id)
    .map(({ file, line }) => `${file}:${line}`)
    .join(', ');
}
