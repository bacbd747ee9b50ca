import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDriver from 'better-sqlite3';
import { Client } from 'pg';
import { openDatabase } from '@dynflow/persistence';
import type { PostgresServer } from '@dynflow/testing';

/** Where the runs keep their plans. */
export interface Databases {
  /** A new one with its tables made, or a copy of one that nobody has open. @returns its URL. */
  make(directory: string, copyOf?: string): Promise<string>;
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
    make: async (place, copyOf) => {
      const file = join(place, 'plans.sqlite');
      copyFileSync(copyOf?.slice('sqlite:'.length) ?? template, file);
      // What a killed process wrote last is in the log beside it.
      if (copyOf !== undefined && existsSync(`${copyOf.slice('sqlite:'.length)}-wal`)) {
        copyFileSync(`${copyOf.slice('sqlite:'.length)}-wal`, `${file}-wal`);
      }
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

/** Databases of a real server, each a copy of a first one. Only the service is killed, so that their soundness is not in question. */
export async function postgresDatabases(server: PostgresServer): Promise<Databases> {
  const template = await server.createDatabase();
  await (await openDatabase({ url: template })).close();
  return {
    make: async (_place, copyOf) => server.createDatabase(copyOf ?? template),
    release: async (url) => query(url, 'UPDATE dynflow_shards SET expires_at = 0'),
    check: async (url) => {
      await query(url, 'SELECT count(*) FROM dynflow_steps');
      return 'ok';
    },
  };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
