import { readFile, rename, writeFile } from 'node:fs/promises';
import type { HoldKeeper } from '@dynflow/engine';
import { markFrom, type MarkDocuments, type MarkPlace } from './continuity.js';

/** Beside an SQLite file: a copy of the file alone leaves it behind. */
export function markInFile(databaseFile: string): MarkPlace {
  const file = `${databaseFile}.continuity`;
  return {
    name: file,
    read: async () => {
      try {
        return markFrom(JSON.parse(await readFile(file, 'utf8')));
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
          return null;
        }
        throw error;
      }
    },
    write: async (mark) => {
      // A crash in the middle leaves the old one.
      await writeFile(`${file}.new`, JSON.stringify(mark), { mode: 0o600 });
      await rename(`${file}.new`, file);
    },
  };
}

/** Words that a stream keeps beside its messages. */
export interface StreamMetadata {
  metadataOf(stream: string): Promise<Record<string, string>>;
  setMetadata(stream: string, entries: Record<string, string>): Promise<void>;
}

/** With the stream of outcomes, on the NATS server. */
export function markInStream(bus: StreamMetadata, stream: string): MarkPlace {
  const key = 'dynflow_continuity';
  return {
    name: `the stream ${stream}`,
    read: async () => {
      const { [key]: text } = await bus.metadataOf(stream);
      return text === undefined ? null : markFrom(JSON.parse(text));
    },
    write: (mark) => bus.setMetadata(stream, { [key]: JSON.stringify(mark) }),
  };
}

/** Keeps the hold of new work in the database. */
export function holdInDatabase(documents: MarkDocuments): HoldKeeper {
  return {
    load: async () => {
      const { reason } = (await documents.get('gateway', 'holds', 'new-work'))?.document ?? {};
      return typeof reason === 'string' ? reason : null;
    },
    save: async (reason) => void (await documents.put('gateway', 'holds', 'new-work', { reason })),
  };
}
