import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ledger } from './ledger.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dynflow-ledger-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('Ledger', () => {
  it('has what was added by anybody, in order, and nothing before that', () => {
    const file = join(directory, 'ledger');
    const [one, other] = [new Ledger<{ n: number }>(file), new Ledger<{ n: number }>(file)];
    expect(other.entries()).toEqual([]);
    one.add({ n: 1 });
    other.add({ n: 2 });
    one.close();
    one.add({ n: 3 });
    expect(other.entries()).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    [one, other].forEach((ledger) => ledger.close());
  });
});
