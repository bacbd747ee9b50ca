import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isJsonObject } from '@dynflow/kernel';
import type { ProxyClient, ReceivedCallback } from '@dynflow/testing';
import { expect } from 'vitest';
import { fillIn, loadCallback, replay } from './fixtures.js';
import type { Variables } from './fixtures.js';
import { expectShape } from './match-shape.js';
import { closedPort, proxyUrl } from './stack.js';
import type { Stack } from './stack.js';

/** Far more than anything here takes; a loaded machine must not fail a test. */
export const patienceMs = 60_000;

/** Something for which a script on the stack's host waits, so that a test decides how long it runs. */
export interface Gate {
  /** The shell command that waits. */
  readonly wait: string;
  open(): Promise<void>;
}

export function makeGate(stack: Stack): Gate {
  const file = join(stack.dir, `gate-${randomUUID()}`);
  // A script that a test leaves behind ends when the stack's directory is gone.
  return { wait: `until [ -e ${file} ] || [ ! -d ${stack.dir} ]; do sleep 0.05; done`, open: () => writeFile(file, '') };
}

/** What every fixture of an SSH job needs, with fresh ids for so many hosts. */
export function storyVariables(stack: Stack, own: Variables = {}, hosts = 3): Variables {
  const { host, port, user } = stack.sshd;
  const ids = Array.from({ length: hosts }, (_, index) => [
    [`child${index}`, randomUUID()],
    [`task${index}`, randomUUID()],
  ]);
  return {
    child: randomUUID(),
    task: randomUUID(),
    unknown: randomUUID(),
    hostname: host,
    port,
    closed_port: closedPort,
    ssh_user: user,
    proxy_url: proxyUrl,
    ...(Object.fromEntries(ids.flat()) as Variables),
    ...own,
  };
}

/** Sends a story's launch, checks the answer, and returns the variables with the batch's own plan added. */
export async function launchStory(client: ProxyClient, story: string, variables: Variables): Promise<Variables> {
  const { body } = await replay(client, `${story}.launch`, variables);
  const parent = isJsonObject(body) && isJsonObject(body['parent']) ? body['parent']['task_id'] : undefined;
  if (typeof parent !== 'string') {
    throw new Error(`the launch of ${story} names no parent: ${JSON.stringify(body)}`);
  }
  return { ...variables, parent };
}

/** Waits until a plan is stopped, and then for the exchange `name`, which says what it then looks like. */
export async function expectStopped(
  client: ProxyClient,
  name: string,
  variables: Variables,
  id = String(variables['child']),
): Promise<void> {
  await client.waitForStatus(id, ({ state }) => state === 'stopped', { timeoutMs: patienceMs });
  await replay(client, name, variables);
}

/** Waits for a task's callback and compares it with the recorded one; it has come once, and Foreman's tables took all of it. */
export async function expectCallback(stack: Stack, name: string, task: string, variables: Variables = {}): Promise<ReceivedCallback> {
  const { foreman } = stack;
  const received = await foreman.waitForCallback(task, { timeoutMs: patienceMs });
  const { request, shape } = loadCallback(name);
  const { method, path, headers, clientSubject, body } = received.request;
  expect({ method, path, clientSubject, status: received.request.status }).toEqual({
    method: request.method,
    path: request.path,
    clientSubject: '/CN=proxy.example.test',
    status: 200,
  });
  // A smart proxy's HTTP client puts a type of its own before the one that Foreman looks for.
  expect(request.headers['accept']).toContain(headers.accept);
  expect(headers['content-type']).toBe(request.headers['content-type']);
  expectShape(body, fillIn(shape, { task, ...variables }));
  expect(foreman.counts()[task]).toBe(1);
  expect(foreman.faultsOf(task)).toEqual([]);
  return received;
}
