import { execFile } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, type Behaviour, type Mutation, type Section } from './catalogue.js';
import type { NamedTest } from './named-tests.js';

interface Drawn {
  readonly id: string;
  readonly mutation: Mutation | undefined;
  /** The spec to run. */
  readonly spec: string;
}

interface RunResult {
  /** How many tests with this id passed and failed. */
  readonly passed: number;
  readonly failed: number;
  /** A hook of its story failed, or nothing could be loaded. */
  readonly message: string;
}

/**
 * Breaks behaviours in a copy of the tree, one at a time, and runs the test of each. Its test must be green before and red after.
 *
 * @returns true if every test noticed.
 */
export async function mutate(
  sections: readonly Section[],
  tests: readonly NamedTest[],
  options: { readonly count: number; readonly seed: number; readonly ids: readonly string[] | undefined },
): Promise<boolean> {
  const drawn = draw(sections, tests, options);
  say(`${drawn.length} behaviours, seed ${options.seed}: ${drawn.map(({ id }) => id).join(' ')}`);
  const copy = copyTree();
  let noticed = 0;
  try {
    for (const each of drawn) {
      const verdict = await tryOne(copy, each);
      noticed += verdict.isNoticed ? 1 : 0;
      say(`${verdict.isNoticed ? '✓' : '✗'} ${each.id.padEnd(5)} ${verdict.text}`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  say(`${noticed} of ${drawn.length} tests went red when the behaviour that they name was broken`);
  return noticed === drawn.length;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function draw(
  sections: readonly Section[],
  tests: readonly NamedTest[],
  options: { readonly count: number; readonly seed: number; readonly ids: readonly string[] | undefined },
): Drawn[] {
  const tested = sections.flatMap(({ ids }) => ids).flatMap((entry) => drawable(entry, tests));
  if (options.ids !== undefined) {
    return tested.filter(({ id }) => options.ids?.includes(id));
  }
  const random = randomFrom(options.seed);
  const chosen: Drawn[] = [];
  while (chosen.length < options.count && tested.length > 0) {
    chosen.push(...tested.splice(Math.floor(random() * tested.length), 1));
  }
  return chosen;
}

function drawable({ id, mutation }: Behaviour, tests: readonly NamedTest[]): Drawn[] {
  const test = tests.find((each) => each.id === id);
  return test === undefined ? [] : [{ id, mutation, spec: mutation?.spec ?? test.file }];
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function tryOne(copy: string, { id, mutation, spec }: Drawn): Promise<{ isNoticed: boolean; text: string }> {
  if (mutation === undefined) {
    return { isNoticed: false, text: 'nothing says how to break it' };
  }
  const before = await runTest(copy, spec, id);
  if (before.passed !== 1 || before.failed > 0) {
    return { isNoticed: false, text: `is not green to begin with: ${before.message}` };
  }
  const path = join(copy, mutation.file);
  const source = readFileSync(path, 'utf8');
  if (source.split(mutation.find).length !== 2) {
    return { isNoticed: false, text: `cannot be broken: ${mutation.file} has changed` };
  }
  const change = `${mutation.file}: ${short(mutation.find)} → ${short(mutation.replace)}`;
  try {
    // A function, so that a dollar sign is one.
    writeFileSync(
      path,
      source.replace(mutation.find, () => mutation.replace),
    );
    const after = await runTest(copy, spec, id);
    const how = after.failed > 0 ? '' : ' (its story does not even begin)';
    return after.passed === 0 && after.message !== ''
      ? { isNoticed: true, text: `${change}${how}` }
      : { isNoticed: false, text: `stays green with ${change}` };
  } finally {
    writeFileSync(path, source);
  }
}

const short = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly failureMessages: readonly string[] | null }[];
  }[];
}

async function runTest(copy: string, spec: string, id: string): Promise<RunResult> {
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const args = ['run', spec, '-t', `(^| )${id}: `, '--reporter=json', `--outputFile=${report}`];
  const output = await new Promise<string>((resolve) => {
    execFile(join(copy, 'node_modules/.bin/vitest'), args, { cwd: copy, timeout: 300_000 }, (_error, stdout, stderr) =>
      resolve(`${stdout}\n${stderr}`),
    );
  });
  try {
    const result = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    const messages = result.testResults.flatMap((file) => [
      file.message,
      ...file.assertionResults.flatMap((test) => test.failureMessages ?? []),
    ]);
    return { passed: result.numPassedTests, failed: result.numFailedTests, message: messages.join('\n').trim() };
  } catch {
    return { passed: 0, failed: 0, message: output.slice(-500) };
  }
}

/** A copy of the working tree in which workspace packages are the copy's own; everything else in node_modules is linked. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'conformance-'));
  const left = new Set(['node_modules', '.git', 'dist', 'coverage']);
  cpSync(root, copy, {
    recursive: true,
    filter: (path) => !left.has(path.slice(path.lastIndexOf('/') + 1)) && !path.startsWith(join(root, '.cache')),
  });
  linkModules(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

function linkModules(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (lstatSync(path).isSymbolicLink()) {
      // To a workspace, relative: in the copy it leads to the copy's.
      symlinkSync(readlinkSync(path), join(to, name));
    } else if (name.startsWith('@')) {
      linkModules(path, join(to, name));
    } else {
      symlinkSync(path, join(to, name));
    }
  }
}
