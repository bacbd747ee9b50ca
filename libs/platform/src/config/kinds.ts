import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { SubjectToken } from '@dynflow/contracts';

/** How a value is written and read: its schema takes the environment's text or the file's YAML value. */
export interface Kind<Value> {
  /** Completes the sentence "expected …" in a fault, and describes the value in the documentation. */
  expects: string;
  schema: z.ZodType<Value>;
  /** True for lists, where an empty text is a value of its own: the empty list. */
  isList?: boolean;
}

export type Database =
  { kind: 'sqlite-memory'; url: string } | { kind: 'sqlite-file'; url: string; path: string } | { kind: 'postgres'; url: string };

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1_024,
  kib: 1_024,
  m: 1_048_576,
  mib: 1_048_576,
  g: 1_073_741_824,
  gib: 1_073_741_824,
};
const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

export function integer(min: number, max: number, expects: string): Kind<number> {
  return kind(expects, (value) => {
    const number = typeof value === 'number' ? value : /^\d{1,15}$/.test(textOf(value)) ? Number(textOf(value)) : NaN;
    return Number.isInteger(number) && number >= min && number <= max ? number : undefined;
  });
}

/** Like `integer`, or this word. */
export function integerOr<const Word extends string>(word: Word, min: number, max: number, expects: string): Kind<number | Word> {
  const limited = integer(min, max, expects);
  return kind(expects, (value) => (value === word ? word : limited.schema.safeParse(value).data));
}

/** Milliseconds, written with a unit; a bare number counts seconds, as the smart proxy's settings do. */
export function duration(
  maxMs: number,
  expects = 'a duration such as "90s", "15m", "24h" or "7d" (a bare number counts seconds)',
): Kind<number> {
  return kind(expects, (value) => {
    const match = /^(\d{1,12}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)?$/.exec(textOf(value));
    const ms = match === null ? NaN : Math.round(Number(match[1]) * (unitMs[match[2] ?? 's'] ?? NaN));
    return ms <= maxMs ? ms : undefined;
  });
}

/** Like `duration`, with the word `forever`, which reads as null. */
export function durationOrForever(maxMs: number): Kind<number | 'forever'> {
  const limited = duration(maxMs);
  return kind(`${limited.expects}, or "forever"`, (value) => (value === 'forever' ? value : limited.schema.safeParse(value).data));
}

/** Bytes, written plainly or with a binary unit. */
export function byteSize(minBytes: number, maxBytes: number, expects: string): Kind<number> {
  return kind(expects, (value) => {
    const match = /^(\d{1,15})\s*([a-z]{0,3})$/i.exec(textOf(value));
    const bytes = match === null ? NaN : Number(match[1]) * (unitBytes[(match[2] ?? '').toLowerCase()] ?? NaN);
    return bytes >= minBytes && bytes <= maxBytes ? bytes : undefined;
  });
}

/** One of some words, in any case; a leading colon, as of a Ruby symbol, is taken off. */
export function oneOf<const Word extends string>(...words: Word[]): Kind<Word> {
  return kind(`one of ${words.join(', ')}`, (value) => {
    const word = textOf(value).replace(/^:/, '').toLowerCase();
    return words.find((candidate) => candidate === word);
  });
}

/** Comma-separated in the environment, a sequence in the file; items are trimmed, empty ones dropped, doubles kept once. */
export function listOf(item: Kind<string>, expects: string): Kind<string[]> {
  const list = kind(expects, (value) => {
    const items: unknown[] | undefined = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : undefined;
    const filled = items?.filter((one) => typeof one !== 'string' || one.trim() !== '');
    const parsed = filled?.map((one) => item.schema.safeParse(one).data);
    return parsed === undefined || parsed.some((one) => one === undefined) ? undefined : [...new Set(parsed as string[])];
  });
  return { ...list, isList: true };
}

/** A path, made absolute from the working directory. Whether something is there is checked elsewhere. */
export const path: Kind<string> = kind('the path of a file', (value) => {
  const text = typeof value === 'string' ? value.trim() : '';
  return text === '' || text.includes('\0') ? undefined : resolve(text);
});

/** An address or name to listen on; brackets around an IPv6 address are taken off. */
export const listenHost: Kind<string> = kind('an IP address or host name to listen on, such as 127.0.0.1 or ::1', (value) => {
  const text = textOf(value).replace(/^\[(.*)\]$/, '$1');
  return isIP(text) !== 0 || isHostName(text) ? text : undefined;
});

/** A host name or address, in lower case: names are compared without regard to case. */
export const host: Kind<string> = kind('a host name or IP address', (value) => {
  const text = textOf(value);
  return isIP(text) !== 0 || isHostName(text) ? text.toLowerCase() : undefined;
});

/** The name of an npm package. */
export const packageName: Kind<string> = kind('the name of a package', (value) => {
  const text = textOf(value);
  return /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/.test(text) && text.length <= 214 ? text : undefined;
});

export const subjectToken: Kind<string> = kind(
  '1 to 100 letters, digits, "_" or "-"',
  (value) => SubjectToken.safeParse(textOf(value)).data,
);

/** An absolute URL of one of the given schemes, without a fragment; as written, without trailing slashes. */
export function url(schemes: readonly string[], expects: string): Kind<string> {
  return kind(expects, (value) => {
    const text = textOf(value);
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    const fits = parsed !== undefined && schemes.includes(parsed.protocol.slice(0, -1)) && parsed.hostname !== '' && parsed.hash === '';
    return fits ? text.replace(/\/+$/, '') : undefined;
  });
}

/** One NATS server or several, separated by commas. */
export const natsUrl: Kind<string> = kind('nats://host:4222 or tls://host:4222, several separated by commas', (value) => {
  const one = url(['nats', 'tls', 'ws', 'wss'], '');
  const servers = textOf(value)
    .split(',')
    .map((server) => one.schema.safeParse(server.trim()).data);
  return servers.some((server) => server === undefined) ? undefined : servers.join(',');
});

/** Where the plans are kept. */
export const database: Kind<Database> = kind('sqlite::memory:, sqlite:/path/to/file or postgres://user:password@host/database', (value) => {
  const text = textOf(value);
  if (text === 'sqlite::memory:') {
    return { kind: 'sqlite-memory', url: text };
  }
  // Three slashes are what other programs write for an absolute path; two would make the first directory a host name.
  const file = /^sqlite:(?:\/\/(?=\/))?(?!\/\/)([^:?].*)$/.exec(text)?.[1];
  // Half of the in-memory name would make a file of that name.
  if (file !== undefined && !/^memory:?$/.test(file)) {
    return { kind: 'sqlite-file', url: `sqlite:${resolve(file)}`, path: resolve(file) };
  }
  return url(['postgres', 'postgresql'], '').schema.safeParse(text).success ? { kind: 'postgres', url: text } : undefined;
});

function kind<Value>(expects: string, read: (value: unknown) => Value | undefined): Kind<Value> {
  const schema = z.unknown().transform((value, context) => {
    const result = read(value);
    if (result === undefined) {
      context.addIssue({ code: 'custom', message: `expected ${expects}` });
      return z.NEVER;
    }
    return result;
  });
  return { expects, schema };
}

function isHostName(text: string): boolean {
  // Four numbers look like a host name, but are an address with a mistake in it.
  return hostName.test(text) && !/^[\d.]+$/.test(text);
}

/** What was written, without space around it; the empty text for what cannot be a single value. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : '';
}
