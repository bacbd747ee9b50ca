// Who may import whom: docs/architecture.md says why. A package may only use the workspace packages that its line names;
// levels may be skipped downwards, nothing may be skipped upwards. A package without a line may import no other.
const mayUse = {
  kernel: [],
  contracts: ['kernel'],
  engine: ['kernel', 'contracts'],
  bus: ['kernel', 'contracts'],
  persistence: ['kernel', 'contracts', 'engine'],
  plugin: ['kernel', 'contracts'],
  executor: ['kernel', 'contracts', 'plugin', 'bus'],
  platform: ['kernel', 'contracts', 'bus'],
  dynflow_foreman_tasks: ['kernel', 'contracts', 'plugin'],
  testing: ['kernel', 'contracts', 'engine', 'plugin', 'bus', 'persistence', 'executor', 'platform'],
};
const gatewayMayUse = ['kernel', 'contracts', 'engine', 'plugin', 'bus', 'persistence', 'executor', 'platform'];
const executorAppMayUse = ['kernel', 'contracts', 'plugin', 'bus', 'executor', 'platform'];
const pluginSourceMayUse = ['kernel', 'contracts', 'plugin'];

// Specs may use the testing kit and whatever it takes to set up their subject; scripts are not part of the product.
const spec = '\\.spec\\.ts$|/spec-support/';
const otherWorkspaces = '^(libs|apps|examples)/';
const libs = (names) => names.map((name) => `^libs/${name}/`);

// Entry points beside a package's index.ts (see its package.json).
const otherEntries = ['^libs/testing/src/(conformance|engine|plugin|faults/index)\\.ts$', '^libs/plugin/src/testing/index\\.ts$'];

/** Forbids what lies in `folder` (its specs apart) to import a workspace package that `names` does not list. */
function only(name, folder, names, extra = {}) {
  const { pathNot = [], comment } = extra;
  return {
    name,
    severity: 'error',
    comment: comment ?? `${folder} may only use: ${names.join(', ') || 'no other package'}.`,
    from: { path: `^${folder}/`, pathNot: [spec, ...pathNot] },
    to: { path: otherWorkspaces, pathNot: [`^${folder}/`, ...libs(names)] },
  };
}

// In an executor's app the process around the plugin (main.ts and host/) is wired to the executor library; the plugin itself is not.
const processFiles = ['/src/main\\.ts$', '/src/host/'];

module.exports = {
  forbidden: [
    ...Object.entries(mayUse).map(([lib, names]) => only(`${lib}-uses`, `libs/${lib}`, names)),
    only('gateway-uses', 'apps/dynflow_api', gatewayMayUse),
    only('quickstart-uses', 'apps/quickstart', ['kernel', 'testing']),
    {
      name: 'executor-app-uses',
      severity: 'error',
      comment: `An executor's app may only use: ${executorAppMayUse.join(', ')}; and no other app.`,
      from: { path: '^apps/(dynflow_foreman_[^/]+)/', pathNot: spec },
      to: { path: otherWorkspaces, pathNot: ['^apps/$1/', ...libs(executorAppMayUse)] },
    },
    {
      name: 'plugin-sources-use',
      severity: 'error',
      comment: 'A plugin knows the plugin contract only, so that the gateway can load it too. Hosting belongs to main.ts and host/.',
      from: { path: '^(apps/dynflow_foreman_|examples/)', pathNot: [spec, ...processFiles] },
      to: { path: '^libs/', pathNot: libs(pluginSourceMayUse) },
    },
    {
      name: 'plugins-know-no-host',
      severity: 'error',
      comment: 'A plugin is hosted by others: Nest, the bus client and the database are not its business.',
      from: { path: '^(libs/dynflow_foreman_tasks|apps/dynflow_foreman_[^/]+|examples/[^/]+)/src/', pathNot: [spec, ...processFiles] },
      to: { path: 'node_modules/(@nestjs|@nats-io|typeorm|better-sqlite3|pg)(/|$)' },
    },
    {
      name: 'no-app-to-app',
      severity: 'error',
      comment: 'Apps share libraries, never each other. The gateway loads plugins by package name at start.',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'no-library-to-app',
      severity: 'error',
      from: { path: '^(libs|examples)/' },
      to: { path: '^apps/' },
    },
    {
      name: 'testing-only-from-tests',
      severity: 'error',
      comment: 'The testing kit is for specs, test/ and the quickstart; the product must not need it.',
      from: { path: otherWorkspaces, pathNot: [spec, '^libs/testing/', '^apps/quickstart/'] },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'no-deep-imports',
      severity: 'error',
      comment: "Another package is used through what its package.json exports; the rest is that package's own.",
      from: { path: '^(libs|apps|examples)/([^/]+)/' },
      to: { path: otherWorkspaces, pathNot: ['^$1/$2/', '^(libs|apps|examples)/[^/]+/src/index\\.ts$', ...otherEntries] },
    },
    {
      name: 'no-deep-imports-from-test',
      severity: 'error',
      comment: 'End-to-end tests use packages as their users do.',
      from: { path: '^(test|scripts)/' },
      to: { path: otherWorkspaces, pathNot: ['^(libs|apps|examples)/[^/]+/src/index\\.ts$', ...otherEntries] },
    },
    {
      name: 'engine-is-pure',
      severity: 'error',
      comment: 'The engine decides; I/O, time and frameworks are behind ports. (Globals such as Date and process: .oxlintrc.json.)',
      from: { path: '^libs/(engine|kernel|contracts)/', pathNot: spec },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'engine-no-third-party',
      severity: 'error',
      comment: 'The engine and the kernel depend on no package from outside.',
      from: { path: '^libs/(engine|kernel)/', pathNot: spec },
      to: { path: 'node_modules/' },
    },
    {
      name: 'database-only-in-persistence',
      severity: 'error',
      comment: 'Entities and database drivers are used in libs/persistence only; others see its stores.',
      from: { path: otherWorkspaces, pathNot: ['^libs/persistence/'] },
      to: { path: 'node_modules/(typeorm|@nestjs/typeorm|better-sqlite3|pg)(/|$)' },
    },
    {
      name: 'entities-stay-inside',
      severity: 'error',
      comment: 'An entity is a row, not a model: the index of libs/persistence does not hand them out.',
      from: { path: '^libs/persistence/src/index\\.ts$' },
      to: { path: '\\.entity\\.ts$|/entities/' },
    },
    {
      name: 'nats-only-in-bus',
      severity: 'error',
      comment: 'The NATS client is used in the bus adapter only (and by tests that look at a server from outside).',
      from: { path: otherWorkspaces, pathNot: [spec, '^libs/(bus|testing)/'] },
      to: { path: 'node_modules/@nats-io/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'declared-dependencies',
      severity: 'error',
      comment: "What a package's sources import stands in its own package.json; hoisting hides the omission until it is installed alone.",
      from: { path: '^(libs|apps|examples)/[^/]+/src/', pathNot: spec },
      // The conformance suites are run by whoever runs vitest, so its one copy is the workspace's.
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: 'node_modules/(vitest|fast-check)/' },
    },
    {
      name: 'test-runner-only-in-testing',
      severity: 'error',
      from: { path: '^(libs|apps|examples)/[^/]+/src/', pathNot: [spec, '^libs/testing/'] },
      to: { path: 'node_modules/(vitest|fast-check|@nestjs/testing)/' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(libs|apps|examples)/[^/]+/dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['dynflow-source', 'import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
