import { messageOf, type Clock, type IdSource, type JsonObject } from '@dynflow/kernel';
import type { PluginLog } from '@dynflow/plugin';

/** How far a database had come when it was last seen: `count` grows with time, and never goes back unless the database does. */
export interface ContinuityMark {
  readonly database: string;
  readonly count: number;
  readonly atMs: number;
}

/** A place for the mark. The one in the database goes back with it, the one outside does not. */
export interface MarkPlace {
  /** For people: where it is. */
  readonly name: string;
  read(): Promise<ContinuityMark | null>;
  write(mark: ContinuityMark): Promise<void>;
}

export interface ContinuityOptions {
  readonly inside: MarkPlace;
  /** Null: there is none; then only the age of the mark inside tells. */
  readonly outside: MarkPlace | null;
  /** A database without a sign of life for so long is taken for an old one. */
  readonly boundMs: number;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: PluginLog;
}

/** How often the mark moves on: a backup that is younger than this cannot be told from the database itself. */
const BEAT_EVERY_MS = 30_000;

/**
 * Finds out whether the database is an old one: a restored backup, or one that nobody has used for long. What it holds of unfinished work
 * may have been done, or given up, by others since; it must not simply go on.
 *
 * C1. The mark inside is written before the one outside, so that a crash between the two never makes a database look old.
 * C2. What cannot be read or written outside is said in the log, and keeps nothing from going on.
 */
export class Continuity {
  readonly #options: ContinuityOptions;
  #mark: ContinuityMark | null = null;
  #stopBeat: () => void = () => undefined;
  #beating: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: ContinuityOptions) {
    this.#options = options;
  }

  /** Looks once, before anything goes on. @returns why the database seems old, or null. @throws UnavailableError (database) */
  async check(): Promise<string | null> {
    const { inside, outside, boundMs, clock, log } = this.#options;
    this.#mark = await inside.read();
    const mark = this.#mark;
    let seen: ContinuityMark | null = null;
    try {
      seen = (await outside?.read()) ?? null;
    } catch (error) {
      log.warn('the mark of continuity cannot be read', { place: outside?.name ?? '', reason: messageOf(error) });
    }
    if (mark === null) {
      return null;
    }
    if (seen?.database === mark.database && seen.count > mark.count) {
      return `the database is of ${at(mark.atMs)}, but it had been seen as it was at ${at(seen.atMs)}: a backup was restored`;
    }
    if (clock.now() - mark.atMs > boundMs) {
      return `the database was last in use at ${at(mark.atMs)}, longer ago than ${boundMs / 3_600_000} h: it may be an old one`;
    }
    return null;
  }

  /** Moves the mark on from now on. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beatLater();
  }

  /** Moves the mark on for the last time. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopBeat();
    await this.#beating;
    await this.#beat();
  }

  #beatLater(): void {
    const { clock } = this.#options;
    this.#stopBeat = clock.at(clock.now() + BEAT_EVERY_MS, () => {
      this.#beating = this.#beat().finally(() => {
        if (!this.#isStopped) {
          this.#beatLater();
        }
      });
    });
  }

  async #beat(): Promise<void> {
    const { inside, outside, clock, ids, log } = this.#options;
    const mark = { database: this.#mark?.database ?? ids.uuid(), count: (this.#mark?.count ?? 0) + 1, atMs: clock.now() };
    try {
      await inside.write(mark);
      this.#mark = mark;
      await outside?.write(mark);
    } catch (error) {
      log.warn('the mark of continuity could not be moved on', { reason: messageOf(error) });
    }
  }
}

/** A mark from what was read. @returns null if it is none. */
export function markFrom(value: unknown): ContinuityMark | null {
  const { database, count, atMs } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  return typeof database === 'string' && Number.isFinite(Number(count)) && Number.isFinite(Number(atMs))
    ? { database, count: Number(count), atMs: Number(atMs) }
    : null;
}

/** Documents of the gateway's own, in its database. */
export interface MarkDocuments {
  get(plugin: string, collection: string, key: string): Promise<{ document: JsonObject } | null>;
  put(plugin: string, collection: string, key: string, document: JsonObject): Promise<boolean>;
}

/** The place inside the database. */
export function markInDatabase(documents: MarkDocuments): MarkPlace {
  return {
    name: 'the database',
    read: async () => markFrom((await documents.get('gateway', 'continuity', 'mark'))?.document),
    write: async (mark) => void (await documents.put('gateway', 'continuity', 'mark', { ...mark })),
  };
}

function at(ms: number): string {
  return new Date(ms).toISOString();
}
