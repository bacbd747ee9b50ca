import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventRow, HostResult, HttpAnswer, ProxyClient } from '@dynflow/testing';
import { differencesFrom } from './match-shape.js';
import type { Shape } from './match-shape.js';

/** What an answer must be: its status and, where its body matters, the body's shape. */
export interface Expectation {
  readonly status: number;
  readonly shape?: Shape;
}

/** A request and its answer; `{name}` in any string stands for a variable. */
export interface ExchangeFixture {
  readonly name: string;
  readonly request: {
    readonly method: string;
    /** Paths below `/tasks` are served with and without the prefix `/dynflow`. */
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: Shape;
    /** Sent as it is, instead of `body`. */
    readonly rawBody?: string;
  };
  /** What a smart proxy answers. */
  readonly expect: Expectation;
  /** What this service answers instead, where a better answer is compatible, and why. */
  readonly improved?: Expectation & { readonly why: string };
}

/** A callback to Foreman: an example to send, the shape of what this service sends, and what Foreman makes of the example. */
export interface CallbackFixture {
  readonly name: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Shape;
  };
  readonly shape: Shape;
  readonly expect: { readonly status: number; readonly body: Shape };
  readonly ingested: readonly {
    readonly taskId: string;
    readonly rows: readonly EventRow[];
    readonly result: HostResult;
    readonly faults: readonly string[];
  }[];
}

/** Values for the `{name}`s of a fixture. */
export type Variables = Readonly<Record<string, string | number>>;

const fixturesDir = join(import.meta.dirname, '..', 'fixtures');

export function loadExchange(name: string): ExchangeFixture {
  return readFixture<ExchangeFixture>('http', name);
}

export function loadCallback(name: string): CallbackFixture {
  return readFixture<CallbackFixture>('callbacks', name);
}

/** The names of all exchanges, or of all callbacks. */
export function fixtureNames(kind: 'http' | 'callbacks'): string[] {
  return readdirSync(join(fixturesDir, kind))
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

/**
 * Puts the variables into every string and key of a fixture's part. A string that is one `{name}` and nothing else takes the
 * variable's own type.
 *
 * @throws Error when a variable is missing.
 */
export function fillIn<T extends Shape>(part: T, variables: Variables): T {
  return fill(part, variables) as T;
}

/** What this service must answer, with the variables filled in. */
export function expectationOf(fixture: ExchangeFixture, variables: Variables = {}): Expectation {
  const { status, shape } = fixture.improved ?? fixture.expect;
  return { status, ...(shape === undefined ? {} : { shape: fillIn(shape, variables) }) };
}

/** Sends a fixture's request, with the client's prefix where the path is below `/tasks`. */
export function sendExchange(client: ProxyClient, fixture: ExchangeFixture, variables: Variables = {}): Promise<HttpAnswer> {
  const { method, path, headers = {}, body, rawBody } = fixture.request;
  const raw = rawBody ?? (body === undefined ? undefined : JSON.stringify(fillIn(body, variables)));
  const filled = String(fillIn(path, variables));
  return client.send(method, filled, {
    headers,
    isAbsolute: !filled.startsWith('/tasks'),
    ...(raw === undefined ? {} : { rawBody: raw }),
  });
}

/** Throws one error with everything in which an answer differs from what the fixture expects of this service. */
export function expectAnswer(answer: HttpAnswer, fixture: ExchangeFixture, variables: Variables = {}): void {
  const { status, shape } = expectationOf(fixture, variables);
  const differences = [
    ...(answer.status === status ? [] : [`status: expected ${status}, got ${answer.status}`]),
    ...(shape === undefined ? [] : differencesFrom(answer.body, shape)),
  ];
  if (differences.length > 0) {
    throw new Error(`${fixture.name}:\n  ${differences.join('\n  ')}\nanswer: ${answer.text}`);
  }
}

/** Sends a fixture's request and checks the answer, which is returned. */
export async function replay(client: ProxyClient, name: string, variables: Variables = {}): Promise<HttpAnswer> {
  const fixture = loadExchange(name);
  const answer = await sendExchange(client, fixture, variables);
  expectAnswer(answer, fixture, variables);
  return answer;
}

function readFixture<T>(kind: 'http' | 'callbacks', name: string): T {
  return JSON.parse(readFileSync(join(fixturesDir, kind, `${name}.json`), 'utf8')) as T;
}

function fill(part: Shape, variables: Variables): Shape {
  if (typeof part === 'string') {
    const whole = /^\{(\w+)\}$/.exec(part)?.[1];
    return whole === undefined
      ? part.replace(/\{(\w+)\}/g, (_, name: string) => String(valueOf(name, variables)))
      : valueOf(whole, variables);
  }
  if (Array.isArray(part)) {
    return (part as readonly Shape[]).map((item) => fill(item, variables));
  }
  if (typeof part === 'object' && part !== null) {
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [String(fill(key, variables)), fill(value, variables)]));
  }
  return part;
}

function valueOf(name: string, variables: Variables): string | number {
  const value = variables[name];
  if (value === undefined) {
    throw new Error(`the fixture needs a value for {${name}}`);
  }
  return value;
}
