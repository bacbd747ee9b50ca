import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCatalogue, root, type Section } from './catalogue.js';
import { findNamedTests, testsIn } from './named-tests.js';
import { problemsOf } from './problems.js';
import { renderTable, tablePath, totalsOf } from './table.js';

const sections = readCatalogue();
const tests = findNamedTests();

describe('conformance with Dynflow', () => {
  it('has a test or a reason for each behaviour, and a mutation for each test', () => {
    expect(problemsOf(sections, tests)).toEqual([]);
  });

  it('has every id of the list', () => {
    expect(sections.map(({ prefix, ids }) => `${prefix}${ids.length}`).join(' ')).toBe(
      'AR46 AC79 AJ7 BT10 CL7 CC20 CO17 DA8 DL5 DI13 CN7 HK11 EP37 EX62 XT4 FL4 FE37 MW3 MI18 PE53 RL4 RE23 RR5 SE16 TS28 UT5 SP18 WC2 WO5 BA9 TH2 N14',
    );
  });

  it('is shown in the committed table; npm run conformance writes it anew', () => {
    expect(readFileSync(join(root, tablePath), 'utf8')).toBe(renderTable(sections, tests));
  });
});

describe('the check', () => {
  const of = (ids: Section['ids']): Section[] => [{ file: 'x.ids.json', section: '6.1', title: 'X', prefix: 'X', ids }];
  const mutation = { file: 'libs/engine/src/states.ts', find: 'export function emptyTally', replace: '' };
  const test = { id: 'X1', file: 'x.spec.ts', line: 1 };

  it('accepts a test with a mutation', () => {
    expect(problemsOf(of([{ id: 'X1', behaviour: 'it works', mutation }]), [test])).toEqual([]);
  });

  it.each([
    ['neither test nor reason', [{ id: 'X1', behaviour: 'b' }], []],
    ['both', [{ id: 'X1', behaviour: 'b', reason: 'r', mutation }], [test]],
    ['two tests', [{ id: 'X1', behaviour: 'b', mutation }], [test, test]],
    ['an unknown id', [{ id: 'X1', behaviour: 'b', mutation }], [test, { ...test, id: 'X2' }]],
    ['a gap in the numbers', [{ id: 'X2', behaviour: 'b', mutation }], [{ ...test, id: 'X2' }]],
    ['a test without mutation', [{ id: 'X1', behaviour: 'b' }], [test]],
    ['a mutation of nothing', [{ id: 'X1', behaviour: 'b', mutation: { ...mutation, find: 'no such text' } }], [test]],
    [
      'a mutation of a test',
      [{ id: 'X1', behaviour: 'b', mutation: { ...mutation, file: 'libs/engine/src/states.spec.ts', find: 'x' } }],
      [test],
    ],
    ['more reasons than one in five', [{ id: 'X1', behaviour: 'b', reason: 'r' }], []],
  ])('refuses %s', (_what, ids, named) => {
    expect(problemsOf(of(ids), named)).not.toEqual([]);
  });

  it('finds tests by their written name', () => {
    const text = "it('X1: a', f);\nit.each(rows)('X2: b %s', f);\nit('X3 c', f);\nother('X4: d');\ntest(`X5: e`, f);\n";
    expect(testsIn('x.spec.ts', text).map(({ id, line }) => `${id}@${line}`)).toEqual(['X1@1', 'X2@2', 'X5@5']);
  });

  it('counts', () => {
    const ids = [
      { id: 'X1', behaviour: 'b' },
      { id: 'X2', behaviour: 'b', reason: 'r' },
      { id: 'X3', behaviour: 'b', todo: true },
    ] as const;
    expect(totalsOf(of(ids), [test])).toEqual({ ids: 3, tests: 1, reasons: 1, open: 1 });
  });
});
