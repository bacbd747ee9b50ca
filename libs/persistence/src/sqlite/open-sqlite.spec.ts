import { startFromSource } from '@dynflow/testing/conformance';
import { UnavailableError } from '@dynflow/kernel';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DatabaseInUseError } from '../errors.js';
import { openDatabase } from '../open-database.js';
import { connectSqlite } from './open-sqlite.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dynflow-open-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe('a database file', () => {
  it('is made with its directory, for its user alone', async () => {
    const file = join(directory, 'new/deep/dynflow.db');
    const log: string[] = [];
    const database = await openDatabase({ url: `sqlite:${file}`, log: (line) => log.push(line) });

    expect(await modeOf(join(directory, 'new'))).toBe('700');
    expect(await modeOf(join(directory, 'new/deep'))).toBe('700');
    expect(await Promise.all([file, `${file}-wal`, `${file}.lock`].map(modeOf))).toEqual(['600', '600', '600']);
    expect(log[0]).toContain(file);
    expect(database.name).toContain(file);
    expect(database.isDurable).toBe(true);
    await database.close();
  });

  it('is opened again without a migration', async () => {
    const url = `sqlite:${join(directory, 'dynflow.db')}`;
    await (await openDatabase({ url })).close();
    const log: string[] = [];

    await (await openDatabase({ url, log: (line) => log.push(line) })).close();

    expect(log).toEqual([]);
  });

  it('is durable at each commit', async () => {
    const connection = await connectSqlite(join(directory, 'dynflow.db'), () => undefined);
    const pragma = (name: string): unknown => connection.driver.pragma(name, { simple: true });
    expect([pragma('journal_mode'), pragma('synchronous'), pragma('foreign_keys')]).toEqual(['wal', 2, 1]);
    await connection.close();
  });

  it('is refused to a second user of the same process, and free when the first has closed it', async () => {
    const url = `sqlite:${join(directory, 'dynflow.db')}`;
    const first = await openDatabase({ url });

    await expect(openDatabase({ url })).rejects.toThrow(DatabaseInUseError);
    await expect(openDatabase({ url })).rejects.toThrow(`is in use by process ${process.pid} on ${hostname()}`);
    await first.check();

    await first.close();
    await (await openDatabase({ url })).close();
  });

  it('is refused to another process, which is told who has it', async () => {
    const url = `sqlite:${join(directory, 'dynflow.db')}`;
    const database = await openDatabase({ url });
    const tryToOpen = fileURLToPath(new URL('../../../testing/src/persistence/try-to-open.ts', import.meta.url));

    const refused = startFromSource(tryToOpen, [url]);
    expect(await refused.ended).toBe(0);
    expect(refused.lines).toEqual([
      expect.stringContaining(`DatabaseInUseError: ${join(directory, 'dynflow.db')} is in use by process ${process.pid}`),
    ]);

    await database.close();
    const admitted = startFromSource(tryToOpen, [url]);
    expect(await admitted.ended).toBe(0);
    expect(admitted.lines).toEqual(['opened']);
  }, 30_000);

  it('that is none is refused without being touched', async () => {
    const file = join(directory, 'letter.txt');
    await writeFile(file, 'Dear Sir or Madam, this is not a database, however long it may get to be. '.repeat(20));

    await expect(openDatabase({ url: `sqlite:${file}` })).rejects.toThrow(UnavailableError);
    expect((await stat(file)).size).toBe(20 * 74);
    // And the failed attempt holds no lock.
    await expect(openDatabase({ url: `sqlite:${file}` })).rejects.toThrow('not a database');
  });

  it('cannot be where there is a directory', async () => {
    await mkdir(join(directory, 'dynflow.db'));
    await expect(openDatabase({ url: `sqlite:${join(directory, 'dynflow.db')}` })).rejects.toThrow(UnavailableError);
  });
});
