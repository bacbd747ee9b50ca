import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@dynflow/kernel';
import { ProxyClient, natsUsers, startNatsServer, type NatsServer, type PlanDocument } from '@dynflow/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.js';
import { repository, startProcess, type ServiceProcess } from '../support/service-process.js';

const plugin = 'example_python';
const timeoutMs = 60_000;

let dir: string;
let nats: NatsServer;
let gateway: GatewayProcess;
let executor: ServiceProcess;
let client: ProxyClient;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'dynflow-python-'));
  nats = await startNatsServer({ config: natsUsers([plugin]) });
  const urlOf = (user: string): string => nats.url.replace('nats://', `nats://${user}:${user}@`);
  gateway = await startGatewayProcess({
    env: { DYNFLOW_NATS_URL: urlOf('gateway'), DYNFLOW_DATABASE_URL: `sqlite:${join(dir, 'plans.sqlite')}` },
  });
  const python = join(repository, '.cache/python/python_executor/bin/python');
  executor = startProcess('the Python executor', [python, join(repository, 'examples/python_executor/executor.py')], {
    env: { NATS_URL: urlOf(plugin) },
  });
  await executor.untilLog(/announced/, { timeoutMs });
  client = new ProxyClient(gateway.url);
});

afterAll(async () => {
  await executor.stop();
  await gateway.stop();
  await nats.stop();
  await rm(dir, { recursive: true });
});

async function launch(input: JsonObject): Promise<string> {
  const { body } = await client.post('/tasks/launch', {
    operation: 'single',
    input: { action_class: `${plugin}.Count`, action_input: input },
    options: {},
  });
  return (body as { task_id: string }).task_id;
}

function countOf(document: PlanDocument): { exitStatus: unknown; text: string; kinds: Set<string> } {
  const actions = document['actions'] as {
    class: string;
    output: { exit_status?: unknown; result: { output_type: string; output: string }[] };
  }[];
  const output = actions.find((action) => action.class === `${plugin}.Count`)?.output;
  const chunks = output?.result ?? [];
  return {
    exitStatus: output?.exit_status,
    text: chunks.map((chunk) => chunk.output).join(''),
    kinds: new Set(chunks.map((chunk) => chunk.output_type)),
  };
}

const isStopped = (document: PlanDocument): boolean => document['state'] === 'stopped';

it('is offered by the gateway and runs with live output', async () => {
  expect(await client.operations()).toContain('python-count');
  const id = await launch({ to: 2_000 });
  const document = await client.waitForStatus(id, isStopped, { timeoutMs });
  expect(document['result']).toBe('success');
  expect(countOf(document)).toEqual({
    exitStatus: 0,
    text: Array.from({ length: 2_000 }, (_, index) => `${index + 1}\n`).join(''),
    kinds: new Set(['stdout']),
  });
});

it('is cancelled while it runs', async () => {
  const id = await launch({ to: 100, pause_ms: 60_000 });
  await client.waitForStatus(id, (document) => countOf(document).text === '1\n', { timeoutMs });
  expect(await client.cancel(id)).toBe(1);
  const document = await client.waitForStatus(id, isStopped, { timeoutMs });
  expect(countOf(document)).toEqual({ exitStatus: 130, text: '1\nCancelled before 2.\n', kinds: new Set(['stdout', 'stderr']) });
});

it('fails, with its output so far', async () => {
  const id = await launch({ to: 5, fail_at: 3 });
  const document = await client.waitForStatus(id, isStopped, { timeoutMs });
  expect(document['result']).toBe('error');
  expect(countOf(document).text).toBe('1\n2\n');
});

it('drains: what runs ends, and its outcome arrives', async () => {
  const id = await launch({ to: 3, pause_ms: 300 });
  await client.waitForStatus(id, (document) => countOf(document).text !== '', { timeoutMs });
  await executor.stop();
  const document = await client.waitForStatus(id, isStopped, { timeoutMs });
  expect(countOf(document)).toMatchObject({ exitStatus: 0, text: '1\n2\n3\n' });
});
