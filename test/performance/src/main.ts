import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { tableOf } from './table.js';
import { engineScenarios, type Measurement } from './engine-suite.js';

const suites: Record<string, Record<string, () => Promise<Measurement>>> = { engine: engineScenarios };

const program = new Command('npm run bench --')
  .description('Measures the service on this machine. Compare figures of one run; machines differ.')
  .argument('<suite>', `what to measure: ${Object.keys(suites).join(', ')}`)
  .option('--json', 'one JSON object a line, for programs')
  .option('--only <scenario>', 'only scenarios whose name begins so')
  .option('--in-this-process', 'used by the program itself: one scenario, as JSON')
  .addHelpText('after', '\nExamples:\n  npm run bench -- engine\n  npm run bench -- engine --only latency --json');
program.parse();

const [suite = ''] = program.args;
const options = program.opts<{ json?: boolean; only?: string; inThisProcess?: boolean }>();
const scenarios = suites[suite] ?? program.error(`there is no suite "${suite}"; there are: ${Object.keys(suites).join(', ')}`);
const chosen = Object.entries(scenarios).filter(([name]) => name.startsWith(options.only ?? ''));
if (chosen.length === 0) {
  program.error(`no scenario begins with "${options.only}"; there are: ${Object.keys(scenarios).join(', ')}`);
}

if (options.inThisProcess === true) {
  for (const [, measure] of chosen) {
    process.stdout.write(`${JSON.stringify(await measure())}\n`);
  }
} else {
  const rows: Measurement[] = [];
  for (const [name] of chosen) {
    process.stderr.write(`measuring ${name} …\n`);
    const child = spawnSync(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), suite, '--only', name, '--in-this-process'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.status !== 0) {
      process.exitCode = 1;
      continue;
    }
    const row = JSON.parse(child.stdout.trim()) as Measurement;
    rows.push(row);
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify(row)}\n`);
    }
  }
  if (options.json !== true) {
    process.stdout.write(tableOf(rows));
  }
}
