import { describe, expect, it } from 'vitest';
import { StoreRequestV1, subjects } from '@dynflow/contracts';
import { InvalidInputError, NotFoundError, type JsonObject } from '@dynflow/kernel';
import { MemoryDocumentStore } from '@dynflow/plugin/testing';
import { defineMiddleware, definePlugin, fromInput, planAction, planSelf, type DocumentStore } from '@dynflow/plugin';
import { z } from 'zod';
import { ManualClock } from './spec-support/manual-clock.js';
import { startSpecExecutor, type SpecExecutor } from './spec-support/spec-executor.js';

const route = { method: 'GET', access: 'open', summary: '' } as const;

async function startServing(): Promise<SpecExecutor> {
  const plugin = definePlugin({
    name: 'spec_plugin',
    version: '1.0.0',
    settings: { section: 'spec', schema: z.object({}) },
    actions: [
      {
        name: 'Fan',
        input: z.object({ hosts: z.array(z.string()) }),
        plan: (input) => {
          const { hosts } = input as { hosts: string[] };
          if (hosts.includes('bad')) {
            throw new RangeError('a bad host');
          }
          return [planSelf(), ...hosts.map((host) => planAction('spec_plugin.Fan', { host, from: fromInput('hosts') }))];
        },
      },
    ],
    routes: [
      { ...route, path: '/spec/hosts/:name', handle: async ({ params }) => Promise.resolve({ body: `host ${params['name'] ?? ''}` }) },
      { ...route, path: '/spec/bug', handle: async () => Promise.reject(new TypeError('x is not a function')) },
      { ...route, path: '/spec/missing', handle: async () => Promise.reject(new NotFoundError('DYN_NO_JOB', 'no such job')) },
      { ...route, path: '/spec/bad', handle: async () => Promise.reject(new InvalidInputError('n', 'n: expected a number')) },
    ],
  });
  return startSpecExecutor({ name: 'Fan' }, { plugin });
}

describe('planning', () => {
  const ask = async ({ bus }: SpecExecutor, action: string, input: object): Promise<unknown> =>
    bus.request(subjects.plan('spec_plugin'), { type: 'plan', version: 1, action, actionVersion: 1, input }, { timeoutMs: 5_000 });

  it('is answered with the tree that the function made', async () => {
    const serving = await startServing();
    expect(await ask(serving, 'spec_plugin.Fan', { hosts: ['a'] })).toEqual({
      type: 'plan.answer',
      version: 1,
      nodes: [{ kind: 'self' }, { kind: 'action', action: 'spec_plugin.Fan', input: { host: 'a', from: { $input: ['hosts'] } } }],
    });
  });

  it.each([
    ['spec_plugin.Fan', { hosts: [7] }, { errorClass: 'InvalidInputError', message: expect.stringContaining('input.hosts.0') }],
    ['spec_plugin.Fan', { hosts: ['bad'] }, { errorClass: 'RangeError', message: 'a bad host' }],
    ['spec_plugin.None', {}, { errorClass: 'VersionMismatchError' }],
    ['other.Fan', { hosts: [] }, { errorClass: 'VersionMismatchError' }],
  ])('of %s with %j is answered with an error', async (action, input, error) => {
    expect(await ask(await startServing(), action, input)).toMatchObject({ error });
  });
});

describe('what stands around phases', () => {
  const startAround = async (): Promise<SpecExecutor> => {
    const input = z.object({ host: z.string() });
    const rename = defineMiddleware({
      name: 'rename',
      plan: async (pass, call) => pass({ ...call.input, host: 'b' }),
      delay: async (pass, { schedule }) => ({ ...(await pass()), at: schedule.startAtMs ?? null }),
      run: async (pass, call) => pass({ ...call.input, host: `${String(call.input['host'])}!` }),
    });
    const plugin = definePlugin({
      name: 'spec_plugin',
      version: '1.0.0',
      settings: { section: 'spec', schema: z.object({}) },
      middleware: [rename],
      actions: [{ name: 'Work', input, run: async (context) => Promise.resolve({ input: context.input as JsonObject }) }],
    });
    return startSpecExecutor({ name: 'Work' }, { plugin });
  };
  const schedule = { startAtMs: 7, startBeforeMs: null, isFrozen: false, after: [] };
  const ask = async ({ bus }: SpecExecutor, more: object): Promise<unknown> => {
    const request = { type: 'plan', version: 1, action: 'spec_plugin.Work', actionVersion: 1, input: { host: 'a' }, ...more };
    return bus.request(subjects.plan('spec_plugin'), request, { timeoutMs: 5_000 });
  };

  it('answers with the tree and the input that it was planned with', async () => {
    expect(await ask(await startAround(), {})).toEqual({
      type: 'plan.answer',
      version: 1,
      nodes: [{ kind: 'self' }],
      input: { host: 'b' },
    });
  });

  it('answers before a plan is scheduled with the input to store, or with what is wrong with it', async () => {
    const serving = await startAround();
    expect(await ask(serving, { delay: schedule })).toEqual({ type: 'plan.answer', version: 1, input: { host: 'a', at: 7 } });
    expect(await ask(serving, { delay: schedule, input: {} })).toMatchObject({ error: { code: 'DYN_INVALID_INPUT' } });
  });

  it('changes what a run gets', async () => {
    const { owner } = await startAround();
    expect(await owner.run('p1', { input: { host: 'a' } })).toEqual({ kind: 'done', output: { input: { host: 'a!' } } });
  });
});

describe('routes', () => {
  const get = async ({ bus }: SpecExecutor, path: string, params = {}): Promise<unknown> => {
    const rest = { query: {}, headers: {}, body: '', clientName: null };
    const request = { type: 'http', version: 1, method: 'GET', route: path, params, ...rest };
    return bus.request(subjects.http('spec_plugin', 'default'), request, { timeoutMs: 5_000 });
  };

  it('are answered by their handlers', async () => {
    expect(await get(await startServing(), '/spec/hosts/:name', { name: 'web1' })).toMatchObject({ status: 200, body: 'host web1' });
  });

  it.each([
    ['/spec/nothing', 404, 'no route GET /spec/nothing'],
    ['/spec/missing', 404, 'no such job'],
    ['/spec/bad', 400, 'n: expected a number'],
    ['/spec/bug', 500, 'its log says more'],
  ])('that go wrong (%s) get %i and JSON without a stack', async (path, status, text) => {
    const serving = await startServing();
    const answer = (await get(serving, path)) as { status: number; headers: Record<string, string>; body: string };
    expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/json' } });
    expect((JSON.parse(answer.body) as { error: string }).error).toContain(text);
    expect(answer.body).not.toMatch(/\.ts|not a function/);
    expect(serving.log.lines.some((line) => line.startsWith('error'))).toBe(status === 500);
  });
});

describe('the documents of a plugin', () => {
  it('are kept by the gateway', async () => {
    const documents = new MemoryDocumentStore();
    const { owner, bus } = await startSpecExecutor({
      name: 'Remember',
      run: async ({ store }: { store: DocumentStore }) => {
        const before = await store.get('hosts', 'web1');
        const first = await store.put('hosts', 'web1', { key: 'abc' }, { index: 'all', ifRevision: 0 });
        const again = await store.put('hosts', 'web1', { key: 'xyz' }, { ifRevision: 0 });
        const found = await store.find('hosts', 'all');
        await store.delete('hosts', 'web1');
        return { before, first, again, found, after: await store.get('hosts', 'web1') };
      },
    });
    bus.subscribe(subjects.store('spec_plugin'), async (message) => answerFrom(documents, StoreRequestV1.parse(message)));
    expect(await owner.run('p1')).toEqual({
      kind: 'done',
      output: { before: null, first: true, again: false, found: [{ key: 'web1', document: { key: 'abc' }, revision: 1 }], after: null },
    });
  });

  it('are waited for while no gateway is there', async () => {
    const clock = new ManualClock();
    const { owner, bus } = await startSpecExecutor(
      { name: 'Remember', run: async ({ store }: { store: DocumentStore }) => ({ found: await store.get('hosts', 'web1') }) },
      { clock },
    );
    await owner.token('late');
    await clock.pass(5);
    expect(owner.reports).toEqual([]);
    const subscription = bus.subscribe(subjects.store('spec_plugin'), () => ({ type: 'store.answer', version: 1, ok: true }));
    await clock.advanceUntil(() => owner.reports.length === 1);
    expect(owner.reports[0]?.outcome).toEqual({ kind: 'done', output: { found: null } });
    subscription.unsubscribe();
    await owner.token('never');
    await clock.advanceUntil(() => owner.reports.length === 2);
    expect(owner.reports[1]?.outcome).toMatchObject({ kind: 'failed', error: { code: 'DYN_BUS_NO_RESPONDER' } });
  });
});

async function answerFrom(documents: DocumentStore, request: StoreRequestV1): Promise<unknown> {
  const answer = { type: 'store.answer', version: 1, ok: true };
  switch (request.op) {
    case 'get': {
      const found = await documents.get(request.collection, request.key);
      return { ...answer, documents: found === null ? [] : [{ key: request.key, ...found }] };
    }
    case 'put': {
      const { collection, key, document, index, ifRevision } = request;
      const options = { ...(index === undefined ? {} : { index }), ...(ifRevision === undefined ? {} : { ifRevision }) };
      return { ...answer, ok: await documents.put(collection, key, document, options) };
    }
    case 'delete':
      await documents.delete(request.collection, request.key);
      return answer;
    case 'find':
      return { ...answer, documents: await documents.find(request.collection, request.index) };
  }
}
