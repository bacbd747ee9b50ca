import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RestedPlan } from '@dynflow/engine';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { definePlugin } from '@dynflow/plugin';
import { startPostgres, type PostgresServer } from '@dynflow/testing';
import { z } from 'zod';
import { startGateway, type RunningGateway } from './start-gateway.js';

/** A service that launches over HTTP, without any Foreman. */
const launcher = definePlugin({
  name: 'launcher',
  version: '1.0.0',
  settings: { section: 'launcher', schema: z.object({}) },
  gateway: {
    routes: (gateway) => [
      {
        method: 'POST',
        path: '/launch/:ms',
        access: 'open',
        summary: '',
        handle: async ({ params }) => {
          const { plan } = await gateway.trigger({ action: 'dynflow_api.Sleep', input: { forMs: Number(params['ms']) } });
          return { status: 200, json: { plan } };
        },
      },
    ],
  },
});

let folder: string;
let server: PostgresServer | undefined;
let gateway: RunningGateway | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'away-'));
});
afterEach(async () => {
  await gateway?.stop();
  await server?.stop();
  await rm(folder, { recursive: true });
});

it('a database that goes away refuses new launches with 503 and Retry-After; afterwards everything goes on and nothing is lost', async () => {
  server = await startPostgres({ isDurable: true });
  const { config } = await loadGatewayConfig({
    env: {
      DYNFLOW_PLUGINS: '',
      DYNFLOW_DATABASE_URL: await server.createDatabase(),
      DYNFLOW_PORT: '0',
      DYNFLOW_SECRET_KEYS_FILE: join(folder, 'keys'),
    },
    loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
  });
  const rested = new Map<string, RestedPlan>();
  let onRest: () => void = () => undefined;
  gateway = await startGateway({
    config,
    plugins: [{ plugin: launcher, settings: {} }],
    log: createLog({ level: 'silent', format: 'json' }),
    onRest: (plan) => {
      rested.set(plan.id, plan);
      onRest();
    },
  });
  const { url } = gateway;
  const launch = async (ms: number): Promise<Response> => fetch(`${url}/launch/${ms}`, { method: 'POST' });
  const planOf = async (response: Response): Promise<string> => ((await response.json()) as { plan: string }).plan;
  const acknowledged = [await planOf(await launch(500)), await planOf(await launch(3_000))];

  await server.crash();
  const refused = await launch(1);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);

  await server.restart();
  for (let response = await launch(1); ; response = await launch(1)) {
    if (response.ok) {
      acknowledged.push(await planOf(response));
      break;
    }
    expect(response.status).toBe(503);
  }
  await new Promise<void>((resolve) => {
    onRest = () => void (acknowledged.every((plan) => rested.has(plan)) && resolve());
    onRest();
  });
  expect(acknowledged.map((plan) => rested.get(plan)?.result)).toEqual(['success', 'success', 'success']);
}, 60_000);
