import { readFileSync } from 'node:fs';
import { messageOf } from '@dynflow/kernel';
import { LineCounter, parseDocument } from 'yaml';

/** Reads a whole file; throws what the file system throws. */
export type ReadFile = (path: string) => Uint8Array;

export interface FileContent {
  /** Values by key, without the colon of a Ruby symbol. */
  values: Map<string, unknown>;
  /** What is wrong with the file as such. */
  faults: string[];
}

export const readFromDisk: ReadFile = (path) => readFileSync(path);

/** Reads a YAML file whose root is a mapping. A file that is missing or malformed gives faults and no values. */
export function readYamlFile(path: string, readFile: ReadFile): FileContent {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFile(path));
  } catch (error) {
    return { values: new Map(), faults: [error instanceof TypeError ? 'is not UTF-8' : `cannot be read: ${messageOf(error)}`] };
  }
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, customTags: [], logLevel: 'silent' });
  if (document.errors.length > 0) {
    // The message alone: the excerpt that the library can add would show values.
    return {
      values: new Map(),
      faults: document.errors.map((error) => {
        const { line, col } = lineCounter.linePos(error.pos[0]);
        return `is not valid YAML: line ${line}, column ${col}: ${error.message}`;
      }),
    };
  }
  let root: { value: unknown; faults: string[] };
  try {
    root = withoutColons(document.toJS({ mapAsMap: true }));
  } catch (error) {
    // Aliases without an anchor, or so many that the file would fill the memory.
    return { values: new Map(), faults: [`is not valid YAML: ${messageOf(error)}`] };
  }
  if (root.value === null) {
    return { values: new Map(), faults: [] };
  }
  if (!(root.value instanceof Map)) {
    return { values: new Map(), faults: ['must hold a mapping of settings, such as "port: 8008"'] };
  }
  return { values: root.value as Map<string, unknown>, faults: root.faults };
}

/** Takes one leading colon off each key, at every depth; `:port` and `port` side by side are a fault. */
function withoutColons(value: unknown): { value: unknown; faults: string[] } {
  if (Array.isArray(value)) {
    const items = value.map((item) => withoutColons(item));
    return { value: items.map((item) => item.value), faults: items.flatMap((item) => item.faults) };
  }
  if (!(value instanceof Map)) {
    return { value, faults: [] };
  }
  const result = new Map<string, unknown>();
  const faults: string[] = [];
  for (const [key, inner] of value) {
    const name = String(key).replace(/^:/, '');
    const cleaned = withoutColons(inner);
    faults.push(...cleaned.faults);
    if (result.has(name)) {
      faults.push(`has the key "${name}" twice, with and without a colon`);
    }
    result.set(name, cleaned.value);
  }
  return { value: result, faults };
}

/** The plain object that a schema expects in the place of a mapping. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  return value instanceof Map ? Object.fromEntries([...value].map(([key, inner]) => [String(key), plain(inner)])) : value;
}
