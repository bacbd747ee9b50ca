import { messageOf } from '@dynflow/kernel';
import { Command, Option } from 'commander';
import { engineScenarios } from './engine/engine-suite.js';
import { BENCH_DATABASES, loadAverage, type BenchDatabase, type Measurement } from './measurement.js';
import { ScenarioRunner } from './run-scenario.js';
import type { BenchPlace, Scenario } from './scenario.js';
import { tablesOf } from './table.js';

interface Options {
  readonly json?: boolean;
  readonly database?: BenchDatabase;
  readonly measureOn?: string;
}

const suites: Record<string, readonly Scenario[]> = { engine: engineScenarios };

const program = new Command('npm run bench --')
  .description('Measures the service on this machine. Compare figures of one run; machines differ.')
  .argument('<suite>', `what to measure: ${Object.keys(suites).join(', ')}`)
  .argument('[scenario]', 'one of its scenarios; default: all')
  .addOption(new Option('--database <database>', 'only on this one').choices(BENCH_DATABASES))
  .option('--json', 'one JSON object a line, for programs')
  .addOption(new Option('--measure-on <place>', 'used by the program itself').hideHelp())
  .addHelpText('after', helpText());
program.parse();

const [suite = '', name] = program.args;
const options = program.opts<Options>();
const known = suites[suite] ?? program.error(`there is no suite "${suite}"; there are: ${Object.keys(suites).join(', ')}`);
const chosen = known.filter((scenario) => name === undefined || scenario.name === name);
if (chosen.length === 0) {
  program.error(`there is no scenario "${name}"; there are: ${known.map((scenario) => scenario.name).join(', ')}`);
}
if (options.measureOn === undefined) {
  await measureAll();
} else {
  process.stdout.write(JSON.stringify(await chosen[0]?.measure(JSON.parse(options.measureOn) as BenchPlace)));
}

async function measureAll(): Promise<void> {
  const runner = new ScenarioRunner();
  const rows: Measurement[] = [];
  let measured = 0;
  for (const scenario of chosen) {
    for (const database of scenario.databases.filter((one) => (options.database ?? one) === one)) {
      process.stderr.write(`${scenario.name} on ${database} (load average ${loadAverage()}) …\n`);
      try {
        const { loadAverage: load, figures } = await runner.run(suite, scenario, database);
        measured += 1;
        for (const { scenario: row, ...rest } of figures) {
          const measurement: Measurement = { suite, scenario: row, database, bus: 'in-process', ...rest, loadAverage: load };
          rows.push(measurement);
          if (options.json === true) {
            process.stdout.write(`${JSON.stringify(measurement)}\n`);
          }
        }
      } catch (error) {
        process.stderr.write(`${messageOf(error)}\n`);
        process.exitCode = 1;
      }
    }
  }
  await runner.stop();
  if (options.json !== true) {
    process.stdout.write(tablesOf(rows));
  }
  if (measured === 0 && process.exitCode === undefined) {
    process.stderr.write(`none of these runs on ${options.database}\n`);
    process.exitCode = 1;
  }
}

function helpText(): string {
  const lines = Object.entries(suites).flatMap(([suiteName, scenarios]) => [
    `\nScenarios of ${suiteName}:`,
    ...scenarios.map((scenario) => `  ${scenario.name.padEnd(12)}${scenario.summary} (${scenario.databases.join(', ')})`),
  ]);
  const examples = ['engine', 'engine wide', 'engine three-step --database sqlite-file', 'engine --database postgres --json'];
  return [...lines, '\nExamples:', ...examples.map((example) => `  npm run bench -- ${example}`)].join('\n');
}
