// The lint rules that carry our promises, each broken once in a workspace made for the purpose; among them those that need types.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

const union = "type State = 'running' | 'paused' | 'stopped';";

/** rule, the file that breaks it, its text */
const violations: readonly (readonly [string, string, string])[] = [
  [
    'typescript(switch-exhaustiveness-check)',
    'libs/bus/src/switch.ts',
    `${union} export function f(s: State): number { switch (s) { case 'running': return 1; case 'paused': return 2; } return 3; }`,
  ],
  [
    'typescript(switch-exhaustiveness-check)',
    'libs/bus/src/default.ts',
    `${union} export function f(s: State): number { switch (s) { case 'running': return 1; default: return 2; } }`,
  ],
  [
    'typescript(no-floating-promises)',
    'libs/bus/src/floating.ts',
    'async function f(): Promise<void> {} export function g(): void { f(); }',
  ],
  [
    'typescript(no-floating-promises)',
    'libs/bus/src/floating.spec.ts',
    'async function f(): Promise<void> {} export function g(): void { f(); }',
  ],
  [
    'typescript(no-misused-promises)',
    'libs/bus/src/misused.ts',
    'export const f = (): void => [1].forEach(async () => Promise.resolve());',
  ],
  ['typescript(await-thenable)', 'libs/bus/src/await.ts', 'export const f = async (n: number): Promise<number> => await n;'],
  ['typescript(no-explicit-any)', 'libs/bus/src/any.ts', 'export const f = (x: any): void => void x;'],
  ['typescript(no-unsafe-assignment)', 'libs/bus/src/unsafe.ts', "export const f: { a: 1 } = JSON.parse('{}');"],
  ['typescript(no-non-null-assertion)', 'libs/bus/src/bang.ts', 'export const f = (x?: string): string => x!;'],
  ['typescript(only-throw-error)', 'libs/bus/src/throw.ts', "export function f(): never { throw 'text'; }"],
  ['import(no-default-export)', 'libs/bus/src/default-export.ts', 'export default 1;'],
  ['import(no-cycle)', 'libs/bus/src/cycle-a.ts', "import { b } from './cycle-b.js'; export const a = (): number => b();"],
  ['eslint(no-console)', 'libs/bus/src/console.ts', "console.log('x');"],
  ['eslint(eqeqeq)', 'libs/bus/src/equal.ts', 'export const f = (x: number): boolean => x == 1;'],
  ['node(no-process-env)', 'libs/bus/src/environment.ts', "export const home = process.env['HOME'];"],
  ['eslint(no-restricted-globals)', 'libs/engine/src/date.ts', 'export const now = (): number => Date.now();'],
  ['eslint(no-restricted-globals)', 'libs/engine/src/new-date.ts', 'export const now = (): number => new Date().getTime();'],
  ['eslint(no-restricted-globals)', 'libs/engine/src/timer.ts', 'export const f = (): unknown => setTimeout(() => undefined, 1);'],
  ['eslint(no-restricted-globals)', 'libs/engine/src/process.ts', 'export const f = (): number => process.pid;'],
  ['eslint(no-restricted-properties)', 'libs/engine/src/random.ts', 'export const f = (): number => Math.random();'],
  [
    'vitest(no-disabled-tests)',
    'libs/bus/src/skip.spec.ts',
    "import { expect, it } from 'vitest'; it.skip('x', () => { expect(1).toBe(1); });",
  ],
  [
    'vitest(no-focused-tests)',
    'libs/bus/src/only.spec.ts',
    "import { expect, it } from 'vitest'; it.only('x', () => { expect(1).toBe(1); });",
  ],
  ['vitest(expect-expect)', 'libs/bus/src/nothing.spec.ts', "import { it } from 'vitest'; it('x', () => { f(); }); function f(): void {}"],
  ['eslint(no-restricted-imports)', 'libs/bus/src/sleep.spec.ts', "export { setTimeout as sleep } from 'node:timers/promises';"],
];

const allowed: readonly (readonly [string, string])[] = [
  ['libs/platform/src/config/environment.ts', "export const home = process.env['HOME'];"],
  ['libs/bus/src/date.ts', 'export const now = (): number => Date.now();'],
  ['libs/engine/src/date.spec.ts', 'export const now = (): number => Date.now();'],
  ['scripts/tool.mjs', "console.log('x');"],
  [
    'libs/bus/src/exhaustive.ts',
    `${union} declare function assertNever(x: never): never;
     export function f(s: State): number {
       switch (s) { case 'running': return 1; case 'paused': return 2; case 'stopped': return 3; default: return assertNever(s); }
     }`,
  ],
  // A class that Nest injects: no rule may ask for `import type`, which would take the metadata away.
  [
    'apps/dynflow_api/src/injected.ts',
    `import { Clock } from './clock.js';
     declare function Injectable(): (target: unknown) => void;
     @Injectable()
     export class User { constructor(readonly clock: Clock) {} }`,
  ],
];

interface Finding {
  readonly code: string;
  readonly filename: string;
}

describe('lint rules', () => {
  let workspace: string;
  let findings: readonly Finding[];

  beforeAll(async () => {
    workspace = await mkdtemp(join(tmpdir(), 'lint-rules-'));
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'tsconfig.base.json']) await copyFile(join(root, file), join(workspace, file));
    await mkdir(join(workspace, 'node_modules'));
    for (const name of ['@types', 'vitest']) await symlink(join(root, 'node_modules', name), join(workspace, 'node_modules', name));
    await write('libs/bus/src/cycle-b.ts', "import { a } from './cycle-a.js'; export const b = (): number => a();");
    await write('apps/dynflow_api/src/clock.ts', 'export class Clock {}');
    for (const [, file, text] of violations) await write(file, text);
    for (const [file, text] of allowed) await write(file, text);
    findings = await lint();
  }, 60_000);

  afterAll(() => rm(workspace, { recursive: true, force: true }));

  it.each(violations)('%s fails %s', (rule, file) => {
    expect(findings.filter((each) => each.filename === file).map((each) => each.code)).toContain(rule);
  });

  it.each(allowed)('lets %s be', (file) => {
    expect(findings.filter((each) => each.filename === file)).toEqual([]);
  });

  async function write(file: string, text: string): Promise<void> {
    await mkdir(dirname(join(workspace, file)), { recursive: true });
    await writeFile(join(workspace, file), `${text}\n`);
  }

  function lint(): Promise<readonly Finding[]> {
    const args = ['-c', '.oxlintrc.json', '--disable-nested-config', '--format', 'json', '.'];
    return new Promise((done, fail) => {
      execFile(join(root, 'node_modules/.bin/oxlint'), args, { cwd: workspace, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
        // Its exit status says whether there were findings, which is the point.
        if (!stdout.startsWith('{')) fail(new Error(stderr || stdout, { cause: error }));
        else done((JSON.parse(stdout) as { diagnostics: readonly Finding[] }).diagnostics);
      });
    });
  }
});
