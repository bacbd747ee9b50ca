// `npm test`: sets up what the stages need, runs them side by side, and ends with a table and one line of counts.
//   npm test                          everything
//   npm test -- --only ssh,nats       these stages, and those that must come before them
//   npm run test:fast                 the stages that need no server
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installDependencies } from './bootstrap.mjs';
import { cache } from './lib/paths.mjs';
import { say, showProgress } from './lib/progress.mjs';
import { run } from './lib/run.mjs';
import { selectStages, stages } from './lib/stages.mjs';
import { provide } from './setup.mjs';

const defaultLimitMs = 15 * 60_000;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    fast: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(Math.max(2, Math.floor(availableParallelism() / 2))) },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  say('npm test -- [--only STAGE[,STAGE…]] [--fast] [--jobs N]');
  for (const stage of stages) say(`  ${stage.name.padEnd(10)}${(stage.include ?? stage.run).join(' && ')}`);
} else {
  try {
    const wanted = chosenStages();
    await installDependencies();
    const results = await runStages(wanted, await provide(wanted));
    report(results);
  } catch (error) {
    // Nothing could be run: that counts as one failure, so that whoever reads only the last line is not misled.
    say(error.message);
    say('0 passed, 1 failed');
    process.exitCode = 1;
  }
}

function chosenStages() {
  if (options.only) return selectStages(options.only.flatMap((names) => names.split(',')).filter((name) => name !== ''));
  return stages.filter((stage) => stage.fast || !options.fast);
}

/** Starts each stage as soon as a place is free and the stages before it have passed; prints each one's output when it ends. */
async function runStages(wanted, lacks) {
  mkdirSync(join(cache, 'logs'), { recursive: true });
  const results = new Map();
  const running = new Map();
  const waiting = [...wanted];
  const done = showProgress(() => {
    const now = Date.now();
    const names = [...running].map(([name, { startedAt }]) => `${name} (${Math.round((now - startedAt) / 1000)} s)`);
    return `${results.size}/${wanted.length} stages ended, running: ${names.join(', ')}`;
  });

  while (waiting.length > 0 || running.size > 0) {
    const ready = waiting.find((stage) => (stage.after ?? []).every((name) => results.has(name)));
    if (ready && running.size < Number(options.jobs)) {
      waiting.splice(waiting.indexOf(ready), 1);
      const startedAt = Date.now();
      const work = runStage(ready, lacks.get(ready.name), results).then((result) => {
        running.delete(ready.name);
        const seconds = Math.round((Date.now() - startedAt) / 1000);
        results.set(ready.name, { name: ready.name, seconds, ...result });
        show(ready.name, seconds, result);
      });
      running.set(ready.name, { startedAt, work });
    } else {
      await Promise.race([...running.values()].map(({ work }) => work));
    }
  }
  done();
  return wanted.map((stage) => results.get(stage.name));
}

/** @returns {Promise<{ passed: number, failed: number, reason: string, output: string }>} `failed` is 0 only if all is well */
async function runStage(stage, lack, results) {
  const unmet = (stage.after ?? []).find((name) => results.get(name).failed > 0);
  if (unmet) return { passed: 0, failed: 1, reason: `not run: ${unmet} failed`, output: '' };
  if (lack) return { passed: 0, failed: 1, reason: 'not run: something is missing', output: lack };

  const logFile = join(cache, 'logs', `${stage.name}.log`);
  rmSync(logFile, { force: true });
  say(`▶ ${stage.name}`);
  return stage.include ? await runSpecs(stage, logFile) : await runCommands(stage, logFile);
}

async function runCommands(stage, logFile) {
  let output = '';
  for (const line of stage.run) {
    const [command, ...args] = line.split(' ');
    const result = await run(command, args, { logFile, limitMs: stage.limitMs ?? defaultLimitMs, env: colours() });
    output += result.output;
    if (!result.ok) return { passed: 0, failed: 1, reason: `${command}: ${result.reason}`, output };
  }
  return { passed: 1, failed: 0, reason: '', output };
}

async function runSpecs(stage, logFile) {
  const file = join(cache, 'logs', `${stage.name}.json`);
  rmSync(file, { force: true });
  const args = ['run', '--project', stage.name, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  if (stage.workers !== undefined) args.push(`--maxWorkers=${stage.workers}`);
  const { ok, reason, output } = await run('vitest', args, { logFile, limitMs: stage.limitMs ?? defaultLimitMs, env: colours() });

  let counts;
  try {
    counts = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, reason: reason || 'vitest left no result', output };
  }
  const { numPassedTests: passed, numFailedTests, numPendingTests, numTodoTests } = counts;
  const skipped = numPendingTests + numTodoTests;
  // A spec file that does not load, or an error outside any test, fails no test but fails the stage.
  const failed = numFailedTests || (ok ? 0 : 1);
  if (failed > 0) return { passed, failed, reason: reason || 'failed', output };
  if (skipped > 0) return { passed, failed: skipped, reason: `${skipped} skipped: a test runs or is removed`, output };
  if (passed === 0) return { passed, failed: 1, reason: 'no test was run', output };
  return { passed, failed, reason: '', output };
}

function colours() {
  return process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
}

function show(name, seconds, { passed, failed, reason, output }) {
  const verdict = failed > 0 ? `FAILED: ${reason}` : `passed ${passed}`;
  const text = output.trim();
  say(`── ${name}: ${verdict} (${seconds} s) ${'─'.repeat(Math.max(3, 60 - name.length - verdict.length))}`);
  if (text !== '') say(text);
}

function report(results) {
  const width = Math.max(...results.map(({ name }) => name.length));
  say();
  for (const { name, passed, failed, seconds, reason } of results) {
    const verdict = failed > 0 ? `FAILED  ${passed} passed, ${failed} failed: ${reason}` : `ok      ${passed} passed`;
    say(`${name.padEnd(width)}  ${String(seconds).padStart(4)} s  ${verdict}`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  say();
  say(`${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = sum('failed') > 0 ? 1 : 0;
}
