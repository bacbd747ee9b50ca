import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import { ManualClock, SequentialIds } from '@dynflow/testing';
import { Continuity, markInDatabase, type MarkDocuments, type MarkPlace } from './continuity.js';
import { holdInDatabase, markInFile } from './mark-places.js';

const HOUR_MS = 3_600_000;

/** Documents as a database has them, with a backup. */
class Documents implements MarkDocuments {
  #documents = new Map<string, JsonObject>();
  isFull = false;

  get(plugin: string, collection: string, key: string): Promise<{ document: JsonObject } | null> {
    const document = this.#documents.get(`${plugin} ${collection} ${key}`);
    return Promise.resolve(document === undefined ? null : { document });
  }

  put(plugin: string, collection: string, key: string, document: JsonObject): Promise<boolean> {
    if (this.isFull) {
      return Promise.reject(new Error('the disk is full'));
    }
    this.#documents.set(`${plugin} ${collection} ${key}`, document);
    return Promise.resolve(true);
  }

  backup(): () => void {
    const saved = new Map(this.#documents);
    return () => {
      this.#documents = new Map(saved);
    };
  }
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'continuity-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function setUp() {
  const documents = new Documents();
  const clock = new ManualClock();
  const warnings: string[] = [];
  const ids = new SequentialIds();
  const make = (outside: MarkPlace | null = markInFile(join(folder, 'db'))): Continuity => {
    const log = {
      debug: () => undefined,
      info: () => undefined,
      error: () => undefined,
      warn: (message: string) => void warnings.push(message),
    };
    return new Continuity({ inside: markInDatabase(documents), outside, boundMs: 12 * HOUR_MS, clock, ids, log });
  };
  /** A run of the service that lasts so long. */
  const run = async (ms: number): Promise<void> => {
    const continuity = make();
    await continuity.check();
    await continuity.start();
    clock.advance(ms);
    await continuity.stop();
  };
  return { documents, clock, warnings, make, run };
}

describe('continuity', () => {
  it('is there at the first start and at every other one', async () => {
    const { make, run, clock, warnings } = setUp();
    expect(await make().check()).toBeNull();
    await run(0);
    clock.advance(11 * HOUR_MS);
    expect(await make().check()).toBeNull();
    await run(40 * HOUR_MS);
    expect(await make().check()).toBeNull();
    expect(warnings).toEqual([]);
  });

  it('is broken by a backup that was restored', async () => {
    const { documents, clock, make, run } = setUp();
    await run(1_000);
    const restore = documents.backup();
    clock.advance(HOUR_MS);
    await run(1_000);
    restore();
    expect(await make().check()).toBe(
      'the database is of 2026-01-01T00:00:01.000Z, but it had been seen as it was at 2026-01-01T01:00:02.000Z: a backup was restored',
    );
    // What is done about it does not hide it: only going on with the database does.
    expect(await make().check()).not.toBeNull();
  });

  it('is broken by a long time without a sign of life, also without a mark outside', async () => {
    const { clock, make, run } = setUp();
    await run(0);
    clock.advance(12 * HOUR_MS + 1);
    expect(await make(null).check()).toMatch(/last in use at .*longer ago than 12 h/);
  });

  it('is not broken by a mark of another database, or one that cannot be read', async () => {
    const { make, run, warnings } = setUp();
    await run(0);
    await writeFile(join(folder, 'db.continuity'), JSON.stringify({ database: 'another', count: 99, atMs: 0 }));
    expect(await make().check()).toBeNull();
    await writeFile(join(folder, 'db.continuity'), '{');
    expect(await make().check()).toBeNull();
    expect(warnings).toEqual(['the mark of continuity cannot be read']);
  });

  it('never makes a database look old that could not be written', async () => {
    const { documents, make, run, warnings } = setUp();
    await run(0);
    documents.isFull = true;
    await run(0);
    documents.isFull = false;
    expect(await make().check()).toBeNull();
    expect(warnings).toContain('the mark of continuity could not be moved on');
  });
});

it('the hold of new work is kept in the database until it is lifted', async () => {
  const documents = new Documents();
  const hold = holdInDatabase(documents);
  expect(await hold.load()).toBeNull();
  await hold.save('upgrade');
  expect(await holdInDatabase(documents).load()).toBe('upgrade');
  await hold.save(null);
  expect(await hold.load()).toBeNull();
});
