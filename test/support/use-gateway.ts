import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSshKeyPair, writePrivateKey } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { startGatewayProcess } from './gateway-process.js';
import type { GatewayProcess } from './gateway-process.js';
import type { Environment, ProcessOptions } from './service-process.js';

/** One gateway, without hosts and without a Foreman, for all tests of a file; each test fails in which it crashed or logged an error. */
export function useGateway(env: Environment = {}, options: Pick<ProcessOptions, 'allowedErrors'> = {}): () => GatewayProcess {
  let gateway: GatewayProcess | undefined;
  let dir = '';
  const current = (): GatewayProcess => {
    if (gateway === undefined) {
      throw new Error('the gateway is there from beforeAll to afterAll');
    }
    return gateway;
  };
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'dynflow-e2e-'));
    const key = join(dir, 'id_ed25519');
    await writePrivateKey(key, makeSshKeyPair());
    gateway = await startGatewayProcess({ ...options, env: { DYNFLOW_REMOTE_EXECUTION_SSH_IDENTITY_KEY_FILE: key, ...env } });
  });
  afterEach(() => current().expectSound());
  afterAll(async () => {
    try {
      await gateway?.stop();
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
  return current;
}
