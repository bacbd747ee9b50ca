import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCore, type GatewayCore } from 'dynflow_api';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { benchPlugin } from './bench-plugin.js';

/** Where the plans are kept while they are measured. */
export type BenchDatabase = 'sqlite-memory' | 'sqlite-file';

const SLOTS = 100;

/** A whole gateway but for its HTTP server, with an executor inside, and a way to wait for plans. */
export class Lab {
  readonly #waiting = new Map<string, () => void>();
  readonly #dir: string;
  #core: GatewayCore | undefined;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async start(database: BenchDatabase): Promise<Lab> {
    const lab = new Lab(mkdtempSync(join(tmpdir(), 'dynflow-bench-')));
    const url = database === 'sqlite-memory' ? 'sqlite::memory:' : `sqlite:${join(lab.#dir, 'bench.sqlite')}`;
    const env = { DYNFLOW_DATABASE_URL: url, DYNFLOW_PLUGINS: '', DYNFLOW_SLOTS: String(SLOTS), DYNFLOW_LOG_LEVEL: 'error' };
    const { config } = await loadGatewayConfig({ env, loadPlugin: () => Promise.reject(new Error('no plugins are loaded here')) });
    lab.#core = await startCore({
      config,
      plugins: [{ plugin: benchPlugin, settings: {} }],
      log: createLog(config.log),
      onRest: (plan) => {
        lab.#waiting.get(plan.id)?.();
        lab.#waiting.delete(plan.id);
      },
    });
    return lab;
  }

  /** Triggers a plan; resolved when it has come to rest. */
  async run(action: string): Promise<void> {
    const id = randomUUID();
    const rested = new Promise<void>((resolve) => this.#waiting.set(id, resolve));
    await this.#core?.service.trigger({ id, action, input: {} });
    await rested;
  }

  /** Runs this many plans with at most `atOnce` under way. */
  async runMany(action: string, plans: number, atOnce: number): Promise<void> {
    let left = plans;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await this.run(action);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }

  async stop(): Promise<void> {
    await this.#core?.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
