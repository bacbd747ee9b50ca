import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { definePlugin, planAction, planSelf, suspend, type ActionDefinition } from '../index.js';
import { MemoryDocumentStore, planOf, runAction, startAction } from './index.js';

function pluginOf(action: Partial<ActionDefinition> & { name: string }, parts: object = {}): ReturnType<typeof definePlugin> {
  return definePlugin({
    name: 'example',
    version: '1.0.0',
    settings: { section: 'example', schema: z.object({ word: z.string().default('hello') }) },
    actions: [{ input: z.object({ times: z.number().default(1) }), chunksAs: 'result', ...action }],
    ...parts,
  });
}

describe('the testing kit', () => {
  it('runs an action as an executor would: settings, services, input, outcome', async () => {
    const order: string[] = [];
    const plugin = pluginOf(
      {
        name: 'Say',
        initialOutput: { result: [] },
        run: async (context) => {
          order.push('run');
          context.update({ output: { half: true } });
          await context.write('stdout', String(context.services));
          await context.write('stderr', 'oh', { id: 7 });
          return { exit_status: (context.input as { times: number }).times };
        },
      },
      {
        start: async ({ settings }: { settings: { word: string } }) => {
          order.push('start');
          return Promise.resolve(settings.word);
        },
        stop: async () => {
          order.push('stop');
          return Promise.resolve();
        },
      },
    );
    const result = await runAction(plugin, 'Say', { input: {}, settings: { word: 'moin' } });
    expect(result.outcome).toEqual({ kind: 'done', output: { exit_status: 1 } });
    expect(result.output).toEqual({ result: [], half: true, exit_status: 1 });
    expect(result.updates).toEqual([{ output: { half: true } }]);
    expect(result.text()).toBe('moin');
    expect(result.chunks[1]).toMatchObject({ kind: 'stderr', text: 'oh', id: 7 });
    expect(order).toEqual(['start', 'run', 'stop']);
  });

  it('turns errors and inputs that do not fit into failed outcomes', async () => {
    const plugin = pluginOf({ name: 'Fail', run: async () => Promise.reject(new RangeError('too far')) });
    expect((await runAction(plugin, 'Fail', { input: {} })).outcome).toEqual({
      kind: 'failed',
      error: { errorClass: 'RangeError', message: 'too far', kind: 'final' },
    });
    expect((await runAction(plugin, 'Fail', { input: { times: 'x' } })).outcome).toMatchObject({
      error: { message: expect.stringMatching(/^input\.times: /) },
    });
  });

  it('parses with schemas that have asynchronous parts', async () => {
    const input = z.object({ host: z.string().refine(async (host) => Promise.resolve(host !== 'bad'), 'a bad host') });
    const plugin = pluginOf({ name: 'Check', input, run: async () => Promise.resolve({}) });
    expect((await runAction(plugin, 'Check', { input: { host: 'good' } })).outcome.kind).toBe('done');
    expect((await runAction(plugin, 'Check', { input: { host: 'bad' } })).outcome).toMatchObject({
      error: { message: 'input.host: a bad host' },
    });
  });

  it('gives a run its checkpoint and reports its suspension', async () => {
    const plugin = pluginOf({
      name: 'Poll',
      run: async (context) => Promise.resolve(suspend({ checkpoint: Number(context.checkpoint ?? 0) + 1, waitingFor: 'the host' })),
    });
    expect((await runAction(plugin, 'Poll', { input: {}, checkpoint: 4 })).outcome).toEqual({
      kind: 'suspended',
      checkpoint: 5,
      waitingFor: 'the host',
    });
  });

  it('cancels and sends events to a run that goes on', async () => {
    const plugin = pluginOf({
      name: 'Wait',
      run: async (context) => {
        context.onEvent((data) => void context.write('stdout', `event ${JSON.stringify(data)}\n`));
        await new Promise<void>((resolve) => {
          context.signal.addEventListener('abort', () => resolve());
        });
        return { cancelled: true };
      },
    });
    const run = startAction(plugin, 'Wait', { input: {} });
    run.sendEvent({ n: 1 });
    await run.waitForText('event {"n":1}');
    run.cancel();
    run.cancel({ force: true });
    expect((await run.result).outcome).toEqual({ kind: 'done', output: { cancelled: true } });
    await expect(run.waitForText('something else')).rejects.toThrow('ended without writing "something else"');
  });

  it('runs finalize code with the output so far', async () => {
    const plugin = pluginOf({ name: 'Sum', finalize: async (context) => Promise.resolve({ total: Number(context.output['a']) + 1 }) });
    const { outcome } = await runAction(plugin, 'Sum', { input: {}, phase: 'finalize', output: { a: 1 } });
    expect(outcome).toEqual({ kind: 'done', output: { total: 2 } });
  });

  it('says which actions there are when there is none of that name', () => {
    expect(() => startAction(pluginOf({ name: 'Only' }), 'Other', { input: {} })).toThrow('example has no action "Other", only: Only');
  });
});

describe('planOf', () => {
  it('gives the tree of data, of a function, and of neither', async () => {
    const nodes = [planSelf(), planAction('example.Other', { a: 1 })];
    expect(await planOf(pluginOf({ name: 'Data', plan: nodes }), 'Data', {})).toEqual(nodes);
    expect(await planOf(pluginOf({ name: 'Code', plan: () => nodes }), 'Code', {})).toEqual(nodes);
    expect(await planOf(pluginOf({ name: 'None' }), 'None', {})).toEqual([{ kind: 'self' }]);
  });

  it('throws when the input does not fit or the tree is none', async () => {
    await expect(planOf(pluginOf({ name: 'Code', plan: () => [] }), 'Code', { times: 'x' })).rejects.toThrow('input.times');
    await expect(planOf(pluginOf({ name: 'Code', plan: () => [{ kind: 'loop' }] as never }), 'Code', {})).rejects.toThrow('kind');
  });
});

describe('the document store in memory', () => {
  it('keeps copies, counts revisions and finds by index word', async () => {
    const store = new MemoryDocumentStore();
    const document = { key: 'abc' };
    expect(await store.put('hosts', 'a', document, { index: 'web', ifRevision: 0 })).toBe(true);
    document.key = 'changed';
    expect(await store.put('hosts', 'a', { key: 'no' }, { ifRevision: 0 })).toBe(false);
    expect(await store.get('hosts', 'a')).toEqual({ document: { key: 'abc' }, revision: 1 });
    expect(await store.put('hosts', 'a', { key: 'def' }, { index: 'db', ifRevision: 1 })).toBe(true);
    expect(await store.find('hosts', 'web')).toEqual([]);
    expect(await store.find('hosts', 'db')).toEqual([{ key: 'a', document: { key: 'def' }, revision: 2 }]);
    await store.delete('hosts', 'a');
    expect(await store.get('hosts', 'a')).toBeNull();
  });
});
