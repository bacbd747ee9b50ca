import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDriver from 'better-sqlite3';
import { openDatabase } from '@dynflow/persistence';

/** Where the runs keep their plans. */
export interface Databases {
  /** A new one with its tables made. @returns its URL. */
  make(directory: string): Promise<string>;
  /** Whoever had it open is known to be dead, and the time of its lease goes by. */
  release(url: string): Promise<void>;
  /** What the database says of its own soundness: `ok`, or what is wrong. */
  check(url: string): Promise<string>;
}

/** Files, each a copy of one that is made in the directory given. */
export async function sqliteFiles(directory: string): Promise<Databases> {
  const template = join(directory, 'template.sqlite');
  await (await openDatabase({ url: `sqlite:${template}` })).close();
  return {
    make: async (place) => {
      const file = join(place, 'plans.sqlite');
      copyFileSync(template, file);
      return Promise.resolve(`sqlite:${file}`);
    },
    // The lock of a file is the operating system's, and went with the process.
    release: async () => Promise.resolve(),
    check: async (url) => {
      const database = new SqliteDriver(url.slice('sqlite:'.length), { readonly: true });
      try {
        const rows = database.pragma('integrity_check') as { integrity_check: string }[];
        return await Promise.resolve(rows.map((row) => row.integrity_check).join('; '));
      } finally {
        database.close();
      }
    },
  };
}
