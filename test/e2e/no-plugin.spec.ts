import { loadPlugin, startGateway } from 'dynflow_api';
import { loadGatewayConfig } from '@dynflow/platform';
import { ProxyClient } from '@dynflow/testing';
import { describe, expect, test, vi } from 'vitest';
import { useGateway } from '../support/use-gateway.js';

describe('a gateway without any plugin', () => {
  const gateway = useGateway({ DYNFLOW_PLUGINS: '' });

  test('is healthy, and has no route of Foreman’s', async () => {
    const get = (path: string): ReturnType<ProxyClient['send']> => new ProxyClient(gateway().url).send('GET', path, { isAbsolute: true });
    expect(await get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await get('/readyz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await get('/metrics')).toMatchObject({ status: 200 });
    for (const path of ['/tasks/count', '/dynflow/tasks/count', '/features', '/version', '/ssh/pubkey']) {
      expect(await get(path)).toMatchObject({ status: 404, body: { error: 'Requested url was not found' } });
    }
  });

  test('runs plans of the built-in actions', async () => {
    const lines: string[] = [];
    const note = (line: string): number => lines.push(line);
    const log = { trace: note, debug: note, info: note, warn: note, error: note, fatal: note, child: () => log };
    const { config, plugins } = await loadGatewayConfig({ env: { DYNFLOW_PLUGINS: '', DYNFLOW_PORT: '0' }, loadPlugin });
    const { api, stop } = await startGateway({ config, plugins, log });
    try {
      const run = async (action: string, input: Record<string, string>): Promise<unknown> => {
        const { plan } = await api.trigger({ action: `dynflow_api.${action}`, input, isExternal: false });
        await vi.waitFor(async () => expect((await api.states([plan])).get(plan)?.state).toMatch(/stopped|paused/), {
          timeout: 10_000,
          interval: 5,
        });
        const [view] = await api.plans([plan]);
        return { result: view?.result, outputs: view?.actions.map(({ output }) => output) };
      };
      expect(await run('Relay', { value: 'passed on' })).toEqual({
        result: 'success',
        outputs: [{}, { value: 'passed on' }, { value: 'passed on' }, { value: 'passed on' }],
      });
      expect(await run('Fail', { message: 'as told' })).toMatchObject({ result: 'error' });
    } finally {
      await stop();
    }
  });
});
