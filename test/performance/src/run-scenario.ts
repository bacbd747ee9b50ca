import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { inDirectory } from './lab.js';
import { loadAverage, type BenchDatabase, type Figures } from './measurement.js';
import type { BenchPlace, Scenario } from './scenario.js';

/** Runs scenarios, each in a process of its own, on databases that it makes and removes. */
export class ScenarioRunner {
  #server: PostgresServer | undefined;

  /** @throws Error if the scenario failed; what it had to say is on stderr. */
  async run(suite: string, scenario: Scenario, database: BenchDatabase): Promise<{ loadAverage: number; figures: Figures[] }> {
    const load = loadAverage();
    const figures = await inDirectory(async (directory) =>
      measureInProcess(suite, scenario, { databaseUrl: await this.#urlOf(database, directory), directory }),
    );
    return { loadAverage: load, figures };
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async #urlOf(database: BenchDatabase, directory: string): Promise<string> {
    switch (database) {
      case 'sqlite-memory':
        return 'sqlite::memory:';
      case 'sqlite-file':
        return `sqlite:${join(directory, 'bench.sqlite')}`;
      case 'postgres':
        this.#server ??= await startPostgres({ isDurable: true });
        return this.#server.createDatabase();
    }
  }
}

async function measureInProcess(suite: string, scenario: Scenario, place: BenchPlace): Promise<Figures[]> {
  const main = fileURLToPath(new URL('main.js', import.meta.url));
  const child = spawn(process.execPath, ['--expose-gc', main, suite, scenario.name, '--measure-on', JSON.stringify(place)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const output = await text(child.stdout);
  const [code] = (await exited) as [number | null];
  if (code !== 0) {
    throw new Error(`${scenario.name} could not be measured: its process ended with ${code ?? 'a signal'}`);
  }
  return JSON.parse(output) as Figures[];
}
