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

/** How the tests of one id ended; there are several where specs share a suite. */
interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

interface RunResult {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** What failed, a hook of a story among it; empty when all is well. */
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
    const specs = [...new Set(drawn.map(({ spec }) => spec))];
    const ids = drawn.map(({ id }) => id);
    const before = await runTests(copy, specs, ids);
    for (const each of drawn) {
      const verdict = isGreen(before.outcomes.get(each.id))
        ? await tryOne(copy, each)
        : { isNoticed: false, text: `is not green to begin with\n${before.message}` };
      noticed += verdict.isNoticed ? 1 : 0;
      say(`${verdict.isNoticed ? '✓' : '✗'} ${each.id.padEnd(5)} ${verdict.text}`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  say(`${noticed} of ${drawn.length} tests went red when the behaviour that they name was broken`);
  return noticed === drawn.length;
}

const isGreen = (outcome: Outcome | undefined): boolean => outcome !== undefined && outcome.passed > 0 && outcome.failed === 0;

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
    const { outcomes, message } = await runTests(copy, [spec], [id]);
    const outcome = outcomes.get(id);
    if (isGreen(outcome) || message === '') {
      return { isNoticed: false, text: `stays green with ${change}` };
    }
    const how = (outcome?.failed ?? 0) > 0 ? '' : ' (the story that it is part of fails)';
    return { isNoticed: true, text: `${change}${how}` };
  } finally {
    writeFileSync(path, source);
  }
}

const short = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);

interface VitestReport {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

/** Runs the tests of these ids. A run in which nothing could be loaded has a message and no outcome. */
async function runTests(copy: string, specs: readonly string[], ids: readonly string[]): Promise<RunResult> {
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const args = ['run', ...specs, '-t', `(^| )(${ids.join('|')}): `, '--reporter=json', `--outputFile=${report}`];
  const output = await new Promise<string>((resolve) => {
    execFile(join(copy, 'node_modules/.bin/vitest'), args, { cwd: copy, timeout: 900_000 }, (_error, stdout, stderr) =>
      resolve(`${stdout}\n${stderr}`),
    );
  });
  const outcomes = new Map<string, Outcome>();
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    for (const { title, status } of testResults.flatMap((file) => file.assertionResults)) {
      const id = title.slice(0, title.indexOf(':'));
      const { passed, failed } = outcomes.get(id) ?? { passed: 0, failed: 0 };
      outcomes.set(id, { passed: passed + (status === 'passed' ? 1 : 0), failed: failed + (status === 'failed' ? 1 : 0) });
    }
    const messages = testResults.flatMap((file) => [file.message, ...file.assertionResults.flatMap((test) => test.failureMessages ?? [])]);
    return { outcomes, message: messages.join('\n').trim() };
  } catch {
    return { outcomes, message: output.slice(-500) };
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
