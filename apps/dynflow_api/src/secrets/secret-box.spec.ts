import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '@dynflow/kernel';
import { KeyRingError, loadKeyRing } from './key-ring.js';
import { SecretBox, SecretsUnreadableError } from './secret-box.js';

const input = { hostname: 'h1', secrets: { ssh_password: 'planted-secret', key_passphrase: null } };

async function executorKey(): Promise<{ publicKey: JsonObject; open: (sealed: string) => Promise<unknown> }> {
  const pair = await generateKeyPair('ECDH-ES+A256KW', { crv: 'P-256' });
  return {
    publicKey: (await exportJWK(pair.publicKey)) as JsonObject,
    open: async (sealed) => JSON.parse(new TextDecoder().decode((await compactDecrypt(sealed, pair.privateKey)).plaintext)) as unknown,
  };
}

describe('SecretBox', () => {
  it('takes secrets out of an input and shows only that they are there', async () => {
    const box = new SecretBox(loadKeyRing(null));

    const sealed = await box.sealInput(input, ['secrets'], 'plan-1');

    expect(sealed.input).toEqual({ hostname: 'h1', secrets: { ssh_password: '[hidden]', key_passphrase: null } });
    expect(sealed.sealedSecrets).toMatch(/^ey/);
    expect(JSON.stringify(sealed)).not.toContain('planted-secret');
  });

  it('seals nothing when there is no secret', async () => {
    const box = new SecretBox(loadKeyRing(null));
    const empty = { secrets: { ssh_password: null } };

    expect(await box.sealInput(empty, ['secrets'], 'plan-1')).toEqual({ input: empty, sealedSecrets: undefined });
  });

  it('seals again for the one executor that asked', async () => {
    const box = new SecretBox(loadKeyRing(null));
    const { sealedSecrets = '' } = await box.sealInput(input, ['secrets'], 'plan-1');
    const executor = await executorKey();
    const other = await executorKey();

    const forExecutor = await box.reseal(sealedSecrets, 'plan-1', executor.publicKey);

    expect(await executor.open(forExecutor)).toEqual({ secrets: { ssh_password: 'planted-secret', key_passphrase: null } });
    await expect(other.open(forExecutor)).rejects.toThrow(/decryption/);
  });

  it('does not open for another plan, nor without the key', async () => {
    const { publicKey } = await executorKey();
    const box = new SecretBox(loadKeyRing(null));
    const { sealedSecrets = '' } = await box.sealInput(input, ['secrets'], 'plan-1');

    await expect(box.reseal(sealedSecrets, 'plan-2', publicKey)).rejects.toThrow(SecretsUnreadableError);
    await expect(new SecretBox(loadKeyRing(null)).reseal(sealedSecrets, 'plan-1', publicKey)).rejects.toThrow(SecretsUnreadableError);
  });
});

describe('loadKeyRing', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'dynflow-keys-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('makes a file that only its owner can read, and reads it at the next start', () => {
    const file = join(dir, 'sub', 'keys.json');

    const made = loadKeyRing(file);

    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(loadKeyRing(file)).toEqual(made);
  });

  it('opens with every key and seals with the first: that is how keys are changed', async () => {
    const file = join(dir, 'keys.json');
    const { publicKey } = await executorKey();
    const [old] = loadKeyRing(file);
    const { sealedSecrets = '' } = await new SecretBox(loadKeyRing(file)).sealInput(input, ['secrets'], 'plan-1');
    const ring = JSON.parse(readFileSync(file, 'utf8')) as { keys: object[] };
    const added = { kty: 'oct', kid: 'new', k: Buffer.alloc(32, 7).toString('base64url') };
    writeFileSync(file, JSON.stringify({ keys: [added, ...ring.keys] }));

    const box = new SecretBox(loadKeyRing(file));

    expect(loadKeyRing(file).map((key) => key.id)).toEqual(['new', old?.id]);
    await expect(box.reseal(sealedSecrets, 'plan-1', publicKey)).resolves.toMatch(/^ey/);
  });

  it.each(['{', '{"keys":[]}', '{"keys":[{"kty":"oct","kid":"a","k":"short"}]}'])('refuses %s and says what is expected', (content) => {
    const file = join(dir, 'keys.json');
    writeFileSync(file, content);

    expect(() => loadKeyRing(file)).toThrow(KeyRingError);
    expect(() => loadKeyRing(file)).toThrow(/DYNFLOW_SECRET_KEYS_FILE .*Expected JSON/s);
  });
});
