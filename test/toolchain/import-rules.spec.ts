// The import rules are only worth something if they bite: each is broken once here, in a workspace made for the purpose.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const scoped = ['kernel', 'contracts', 'engine', 'bus', 'persistence', 'plugin', 'executor', 'platform', 'testing'];
const packages: Record<string, string> = {
  ...Object.fromEntries(scoped.map((name) => [`@dynflow/${name}`, `libs/${name}`])),
  dynflow_foreman_tasks: 'libs/dynflow_foreman_tasks',
  dynflow_api: 'apps/dynflow_api',
  dynflow_foreman_salt: 'apps/dynflow_foreman_salt',
  dynflow_foreman_ansible: 'apps/dynflow_foreman_ansible',
};
const foreign = ['@nestjs/common', '@nestjs/testing', '@nats-io/jetstream', 'typeorm', 'vitest', 'left-pad'];

/** rule, the file that breaks it, what that file imports */
const violations: readonly (readonly [string, string, string])[] = [
  ['kernel-uses', 'libs/kernel/src/a.ts', '@dynflow/contracts'],
  ['contracts-uses', 'libs/contracts/src/a.ts', '@dynflow/bus'],
  ['engine-uses', 'libs/engine/src/a.ts', '@dynflow/persistence'],
  ['bus-uses', 'libs/bus/src/a.ts', '@dynflow/engine'],
  ['persistence-uses', 'libs/persistence/src/a.ts', '@dynflow/bus'],
  ['plugin-uses', 'libs/plugin/src/a.ts', '@dynflow/engine'],
  ['executor-uses', 'libs/executor/src/a.ts', '@dynflow/persistence'],
  ['platform-uses', 'libs/platform/src/a.ts', '@dynflow/engine'],
  ['dynflow_foreman_tasks-uses', 'libs/dynflow_foreman_tasks/src/a.ts', '@dynflow/engine'],
  ['testing-uses', 'libs/testing/src/a.ts', 'dynflow_foreman_tasks'],
  ['gateway-uses', 'apps/dynflow_api/src/a.ts', 'dynflow_foreman_tasks'],
  ['quickstart-uses', 'apps/quickstart/src/a.ts', '@dynflow/engine'],
  ['executor-app-uses', 'apps/dynflow_foreman_salt/src/main.ts', '@dynflow/persistence'],
  ['plugin-sources-use', 'apps/dynflow_foreman_salt/src/b.ts', '@dynflow/executor'],
  ['plugins-know-no-host', 'apps/dynflow_foreman_salt/src/c.ts', '@nestjs/common'],
  ['no-app-to-app', 'apps/dynflow_foreman_salt/src/host/d.ts', 'dynflow_foreman_ansible'],
  ['no-library-to-app', 'libs/platform/src/b.ts', 'dynflow_api'],
  ['testing-only-from-tests', 'libs/bus/src/b.ts', '@dynflow/testing'],
  ['no-deep-imports', 'libs/bus/src/c.ts', '../../kernel/src/inner.js'],
  ['no-deep-imports-from-test', 'test/e2e/a.spec.ts', '../../libs/kernel/src/inner.js'],
  ['engine-is-pure', 'libs/engine/src/b.ts', 'node:fs'],
  ['engine-no-third-party', 'libs/engine/src/c.ts', '@nestjs/common'],
  ['database-only-in-persistence', 'apps/dynflow_api/src/b.ts', 'typeorm'],
  ['entities-stay-inside', 'libs/persistence/src/index.ts', './entities/plan.js'],
  ['nats-only-in-bus', 'libs/executor/src/b.ts', '@nats-io/jetstream'],
  ['no-cycles', 'libs/kernel/src/cycle-a.ts', './cycle-b.js'],
  ['declared-dependencies', 'libs/platform/src/c.ts', 'left-pad'],
  ['test-runner-only-in-testing', 'libs/platform/src/d.ts', 'vitest'],
  ['resolvable', 'libs/platform/src/e.ts', '@dynflow/unheard-of'],
];

const allowed: readonly (readonly [string, string])[] = [
  ['libs/engine/src/allowed.ts', '@dynflow/contracts'],
  ['libs/engine/src/allowed.spec.ts', '@dynflow/testing'],
  ['libs/engine/src/io.spec.ts', 'node:fs'],
  ['libs/persistence/src/allowed.ts', 'typeorm'],
  ['libs/bus/src/allowed.ts', '@nats-io/jetstream'],
  ['libs/testing/src/allowed.ts', 'vitest'],
  ['apps/dynflow_foreman_salt/src/allowed.ts', '@dynflow/plugin'],
  ['apps/dynflow_foreman_salt/src/host/allowed.ts', '@dynflow/executor'],
  ['apps/dynflow_api/src/allowed.ts', '@dynflow/persistence'],
  ['apps/quickstart/src/allowed.ts', '@dynflow/testing'],
  ['test/e2e/allowed.spec.ts', '@dynflow/testing'],
];

interface Report {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
    readonly ruleSetUsed: { readonly forbidden: readonly { readonly name: string }[] };
  };
}

describe('import rules', () => {
  let workspace: string;
  let report: Report;

  beforeAll(async () => {
    workspace = await mkdtemp(join(tmpdir(), 'import-rules-'));
    await makeWorkspace();
    report = await cruise();
  }, 60_000);

  afterAll(() => rm(workspace, { recursive: true, force: true }));

  it.each(violations)('%s: fails %s for importing %s', (rule, file) => {
    expect(report.summary.violations.filter((each) => each.from === file).map((each) => each.rule.name)).toContain(rule);
  });

  it.each(allowed)('lets %s import %s', (file) => {
    expect(report.summary.violations.filter((each) => each.from === file)).toEqual([]);
  });

  it('has no rule that is not shown to bite', () => {
    const rules = report.summary.ruleSetUsed.forbidden.map((rule) => rule.name);
    expect(violations.map(([rule]) => rule).toSorted()).toEqual(rules.toSorted());
  });

  async function makeWorkspace(): Promise<void> {
    const dependencies = Object.fromEntries(
      [...Object.keys(packages), ...foreign.filter((name) => name !== 'left-pad')].map((name) => [name, '1.0.0']),
    );
    for (const [name, folder] of Object.entries(packages)) {
      const manifest = { name, type: 'module', exports: { '.': { 'dynflow-source': './src/index.ts' } }, dependencies };
      await write(`${folder}/package.json`, JSON.stringify(manifest));
      await write(`${folder}/src/index.ts`, 'export const index = 1;\n');
      await mkdir(dirname(join(workspace, 'node_modules', name)), { recursive: true });
      await symlink(join(workspace, folder), join(workspace, 'node_modules', name));
    }
    for (const name of foreign) {
      await write(`node_modules/${name}/package.json`, JSON.stringify({ name, type: 'module', exports: './dist/index.js' }));
      await write(`node_modules/${name}/dist/index.js`, 'export const foreign = 1;\n');
    }
    await write('package.json', JSON.stringify({ name: 'workspace', workspaces: ['libs/*', 'apps/*'], devDependencies: dependencies }));
    await write('tsconfig.json', '{}');
    await write('libs/kernel/src/inner.ts', 'export const inner = 1;\n');
    await write('libs/kernel/src/cycle-b.ts', "import * as a from './cycle-a.js';\nexport const b = a;\n");
    await write('libs/persistence/src/entities/plan.ts', 'export const plan = 1;\n');
    for (const [file, imported] of [...violations.map(([, file, to]) => [file, to] as const), ...allowed]) {
      await write(file, `import * as what from '${imported}';\nexport const used = what;\n`);
    }
  }

  async function write(file: string, text: string): Promise<void> {
    await mkdir(dirname(join(workspace, file)), { recursive: true });
    await writeFile(join(workspace, file), text);
  }

  function cruise(): Promise<Report> {
    const args = ['--config', join(root, '.dependency-cruiser.cjs'), '--output-type', 'json', 'libs', 'apps', 'test'];
    return new Promise((done, fail) => {
      execFile(join(root, 'node_modules/.bin/depcruise'), args, { cwd: workspace, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
        // Its exit status says whether there were violations, which is the point.
        if (stdout === '') fail(new Error(stderr, { cause: error }));
        else done(JSON.parse(stdout) as Report);
      });
    });
  }
});
