import { describe, expect, it } from 'vitest';
import { declarationOf } from '@dynflow/plugin';
import { MemoryDocumentStore, callRoute, planOf, runAction, startAction } from '@dynflow/plugin/testing';
import { plugin } from './index.js';

describe('the greeting', () => {
  it('is written as output and kept as a document', async () => {
    const store = new MemoryDocumentStore();
    const { outcome, text } = await runAction(plugin, 'Greet', { input: { name: 'Ada' }, store });
    expect(outcome).toEqual({ kind: 'done', output: { exit_status: 0 } });
    expect(text()).toBe('Hello, Ada!\n');
    expect(await store.find('greeted', 'everybody')).toEqual([{ key: 'Ada', document: { times: 1 }, revision: 1 }]);
  });

  it('uses the setting, and takes a name as it is', async () => {
    const { text } = await runAction(plugin, 'Greet', { input: { name: '"; exit 7 #$(id)' }, settings: { salutation: 'Moin' } });
    expect(text()).toBe('Moin, "; exit 7 #$(id)!\n');
  });

  it('can be cancelled while it goes on', async () => {
    const run = startAction(plugin, 'Greet', { input: { name: 'Ada', times: 3_600 } });
    await run.waitForText('Hello, Ada!');
    run.cancel();
    const { outcome, text } = await run.result;
    expect(outcome).toEqual({ kind: 'done', output: { exit_status: 143 } });
    expect(text('stderr')).toBe('The greeting was cancelled.\n');
  });

  it('names the field of an input that does not fit', async () => {
    const { outcome } = await runAction(plugin, 'Greet', { input: { times: 2 } });
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: { errorClass: 'InvalidInputError', message: expect.stringContaining('input.name') },
    });
  });

  it('is planned by itself and declared with its operation', async () => {
    expect(await planOf(plugin, 'Greet', { name: 'Ada' })).toEqual([{ kind: 'self' }]);
    expect(declarationOf(plugin, { salutation: 'Hello' })).toMatchObject({
      plugin: 'example_greeting',
      operations: [{ name: 'greeting', launcher: 'single', action: 'example_greeting.Greet' }],
      features: [{ name: 'greeting', capabilities: ['polite'], settings: { salutation: 'Hello' } }],
      routes: [{ method: 'GET', path: '/greeting/salutation', access: 'open' }],
    });
  });

  it('tells over HTTP how people are greeted', async () => {
    const answer = await callRoute(plugin, 'GET', '/greeting/salutation', { settings: { salutation: 'Moin' } });
    expect(answer).toMatchObject({ status: 200, body: 'Moin' });
  });
});
