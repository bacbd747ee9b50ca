import { afterEach, describe, expect, it } from 'vitest';
import type { JsonValue } from '@dynflow/kernel';
import type { RestedPlan } from '@dynflow/engine';
import { createLog, loadGatewayConfig } from '@dynflow/platform';
import { defineAction, definePlugin, outputOf, planAction, planSelf, type Plugin } from '@dynflow/plugin';
import { z } from 'zod';
import { startCore, type GatewayCore } from './gateway-core.js';

/** A gateway without HTTP, and a way to wait for plans. */
class Lab {
  readonly #rested = new Map<string, RestedPlan>();
  readonly #waiting = new Map<string, (plan: RestedPlan) => void>();
  core: GatewayCore | undefined;

  static async start(plugins: Plugin[]): Promise<Lab> {
    const lab = new Lab();
    const { config } = await loadGatewayConfig({
      env: { DYNFLOW_PLUGINS: '', DYNFLOW_LOG_LEVEL: 'silent' },
      loadPlugin: () => Promise.reject(new Error('nothing is loaded by name here')),
    });
    lab.core = await startCore({
      config,
      plugins: plugins.map((plugin) => ({ plugin, settings: {} })),
      log: createLog({ level: 'silent', format: 'json' }),
      onRest: (plan) => {
        lab.#rested.set(plan.id, plan);
        lab.#waiting.get(plan.id)?.(plan);
      },
    });
    return lab;
  }

  get service(): GatewayCore['service'] {
    if (this.core === undefined) {
      throw new Error('not started');
    }
    return this.core.service;
  }

  async run(action: string, input: Record<string, never> | object): Promise<{ plan: string; rested: RestedPlan }> {
    const { plan } = await this.service.trigger({ action, input: input as Record<string, never> });
    return { plan, rested: await this.rested(plan) };
  }

  rested(plan: string): Promise<RestedPlan> {
    const known = this.#rested.get(plan);
    return known === undefined ? new Promise((resolve) => this.#waiting.set(plan, resolve)) : Promise.resolve(known);
  }
}

let lab: Lab | undefined;
afterEach(async () => {
  await lab?.core?.stop();
  lab = undefined;
});

describe('a gateway without any plugin', () => {
  it('runs a plan of built-in actions, each with the output of the one before', async () => {
    lab = await Lab.start([]);

    const { plan, rested } = await lab.run('dynflow_api.Relay', { value: { deep: [1, 'two'] } });

    expect(rested).toMatchObject({ state: 'stopped', result: 'success' });
    const [view] = await lab.service.plans([plan]);
    expect(view?.runFlow).toEqual(['S', 3, 5, 7]);
    expect(view?.actions.at(-1)?.output).toEqual({ value: { deep: [1, 'two'] } });
  });

  it('pauses a plan whose action failed, and says why', async () => {
    lab = await Lab.start([]);

    const { plan, rested } = await lab.run('dynflow_api.Fail', { message: 'out of paper' });

    expect(rested).toMatchObject({ state: 'paused', result: 'error' });
    const [view] = await lab.service.plans([plan]);
    expect(view?.steps.find((step) => step.state === 'error')?.error).toMatchObject({ message: 'out of paper' });
  });

  it('cancels a sleeping plan, which says what it waits for until then', async () => {
    lab = await Lab.start([]);
    const { plan } = await lab.service.trigger({ action: 'dynflow_api.Sleep', input: { forMs: 3_600_000 } });
    const [sleeping] = await lab.service.plans([plan]);

    expect(sleeping?.steps.find((step) => step.kind === 'run')).toMatchObject({ state: 'suspended', waitingFor: 'its time to pass' });
    expect(await lab.service.cancel(plan)).toEqual({ canceledSteps: 1 });

    expect(await lab.rested(plan)).toMatchObject({ state: 'stopped', result: 'success' });
    expect(await lab.service.cancel(plan)).toEqual({ canceledSteps: 0 });
  });

  it('knows no Foreman: no operation, no feature, no route', async () => {
    lab = await Lab.start([]);

    expect(lab.service.operations()).toEqual([]);
    expect(lab.service.features()).toEqual([]);
    expect(lab.core?.routes).toEqual([]);
    expect(await lab.core?.faults()).toEqual([]);
  });

  it('names the field of an input that does not fit, and an action that nobody has', async () => {
    lab = await Lab.start([]);
    const { service } = lab;

    expect(() => service.checkInput('dynflow_api.Sleep', { forMs: 'long' }, 'input')).toThrow(/input\.forMs: must be integer/);
    expect(() => service.checkInput('dynflow_api.Sleep', {}, 'input')).toThrow(/input\.forMs: this field is required/);
    await expect(service.trigger({ action: 'nobody.Knows', input: {} })).rejects.toThrow(/nobody\.Knows/);
    await expect(service.cancel('11111111-1111-4111-8111-111111111111')).rejects.toThrow(/there is no task/);
  });
});

const Greet = defineAction({
  name: 'Greet',
  input: z.object({ name: z.string(), password: z.string().optional() }),
  secrets: ['password'],
  chunksAs: 'lines',
  run: async (context) => {
    await context.write('stdout', `Hello, ${context.input.name}`);
    await context.store.put('greeted', context.input.name, { times: 1 });
    return {
      knewPassword: context.input.password === 'planted',
      stored: (await context.store.get('greeted', context.input.name)) !== null,
    };
  },
});

const GreetAll = defineAction({
  name: 'GreetAll',
  input: z.looseObject({ names: z.array(z.string()).default([]) }),
  plan: ({ names }) => [
    ...names.map((name, index) => planAction('example.Greet', { name }, { as: `greeting${index}` })),
    planSelf({ first: outputOf('greeting0') }),
  ],
  run: async (context) => Promise.resolve({ got: context.input['first'] as JsonValue }),
});

const example = definePlugin({
  name: 'example',
  version: '1.0.0',
  settings: { section: 'example', schema: z.object({}) },
  actions: [Greet, GreetAll],
});

describe('a gateway with a plugin that an executor hosts', () => {
  it('runs its action, with secrets unsealed for it only, output as it was written, and documents kept', async () => {
    lab = await Lab.start([example]);
    const sealed = await lab.service.seal('example.Greet', { name: 'Ada', password: 'planted' }, '22222222-2222-4222-8222-222222222222');
    await lab.service.trigger({
      id: '22222222-2222-4222-8222-222222222222',
      action: 'example.Greet',
      input: sealed.input,
      ...(sealed.sealedSecrets === undefined ? {} : { sealedSecrets: sealed.sealedSecrets }),
    });

    expect(await lab.rested('22222222-2222-4222-8222-222222222222')).toMatchObject({ result: 'success' });

    const [view] = await lab.service.plans(['22222222-2222-4222-8222-222222222222']);
    expect(view?.actions[0]?.input).toEqual({ name: 'Ada', password: '[hidden]' });
    expect(view?.actions[0]?.output).toMatchObject({
      knewPassword: true,
      stored: true,
      lines: [{ output_type: 'stdout', output: 'Hello, Ada' }],
    });
  });

  it('asks the executor for a plan that is a function, and runs what it says', async () => {
    lab = await Lab.start([example]);

    const { plan, rested } = await lab.run('example.GreetAll', { names: ['Ada', 'Grace'] });

    expect(rested).toMatchObject({ state: 'stopped', result: 'success' });
    const [view] = await lab.service.plans([plan]);
    expect(view?.runFlow).toEqual(['C', 5, ['S', 3, 6]]);
    expect(view?.actions.map((action) => action.name)).toEqual(['example.GreetAll', 'example.Greet', 'example.Greet']);
    expect(view?.actions[0]?.output['got']).toMatchObject({ lines: [{ output: 'Hello, Ada' }] });
  });

  it('makes a plan once, however often it is asked for under the same id', async () => {
    lab = await Lab.start([example]);
    const request = { id: '33333333-3333-4333-8333-333333333333', action: 'example.Greet', input: { name: 'Ada' } };

    const first = await lab.service.trigger(request);
    const second = await lab.service.trigger(request);
    await lab.rested(request.id);
    const third = await lab.service.trigger(request);

    expect([first.created, second.created, third.created]).toEqual([true, false, false]);
    expect(await lab.service.count()).toBe(1);
  });
});
