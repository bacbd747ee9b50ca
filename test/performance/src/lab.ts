import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCore, type GatewayCore } from 'dynflow_api';
import type { JsonObject } from '@dynflow/kernel';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import type { BenchPlace } from './scenario.js';
import { benchParentPlugin, benchPlugin } from './bench-plugin.js';

const SLOTS = 100;

/** A whole gateway but for its HTTP server, with an executor inside, and a way to wait for plans. */
export class Lab {
  readonly #waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  #core: GatewayCore | undefined;

  private constructor() {}

  static async start({ databaseUrl, directory }: BenchPlace): Promise<Lab> {
    const lab = new Lab();
    const env = {
      DYNFLOW_DATABASE_URL: databaseUrl,
      DYNFLOW_SECRET_KEYS_FILE: join(directory, 'keys.json'),
      DYNFLOW_PLUGINS: '',
      DYNFLOW_SLOTS: String(SLOTS),
      DYNFLOW_LOG_LEVEL: 'error',
    };
    const { config } = await loadGatewayConfig({ env, loadPlugin: () => Promise.reject(new Error('no plugins are loaded here')) });
    lab.#core = await startCore({
      config,
      plugins: [
        { plugin: benchPlugin, settings: {} },
        { plugin: benchParentPlugin, settings: {} },
      ],
      log: createLog(config.log),
      onRest: ({ id, result }) => {
        const waiting = lab.#waiting.get(id);
        lab.#waiting.delete(id);
        if (result === 'success') {
          waiting?.resolve();
        } else {
          waiting?.reject(new Error(`the plan ${id} ended with ${result}`));
        }
      },
    });
    return lab;
  }

  /** Triggers a plan; resolved when it has ended, and that is committed. @throws Error if it did not end well. */
  async run(action: string, input: JsonObject = {}): Promise<void> {
    const id = randomUUID();
    const rested = new Promise<void>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    await this.#core?.service.trigger({ id, action, input });
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
  }
}

/** Gives the work a directory of its own, which is gone afterwards. */
export async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'dynflow-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
