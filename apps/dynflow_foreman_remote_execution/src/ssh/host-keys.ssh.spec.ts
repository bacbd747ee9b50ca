import { makeSshKeyPair, keyParts, startSshd } from '@dynflow/testing';
import type { Sshd } from '@dynflow/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SshError } from './errors.js';
import { MemoryHostKeyStore, fingerprintOf } from './host-keys.js';
import { PrivateKeyFile } from './private-key.js';
import { Ssh2Transport } from './ssh2-transport.js';
import type { SshTarget } from './transport.js';

describe("a host's key", () => {
  let server: Sshd;
  let target: SshTarget;
  let store: MemoryHostKeyStore;
  let transport: Ssh2Transport;
  const other = keyParts(makeSshKeyPair().publicKey);
  const otherRsa = keyParts(makeSshKeyPair({ type: 'rsa' }).publicKey);

  beforeAll(async () => {
    server = await startSshd();
    target = { host: server.host, port: server.port, user: server.user };
  });
  afterAll(() => server.stop());
  beforeEach(() => {
    store = new MemoryHostKeyStore();
    transport = new Ssh2Transport({ hostKeys: store, privateKey: new PrivateKeyFile(server.clientKeyPath) });
  });
  const connect = async (to = transport, what = target): Promise<SshError | 'in'> => {
    try {
      await (await to.connect(what)).close();
      return 'in';
    } catch (error) {
      expect(error).toBeInstanceOf(SshError);
      return error as SshError;
    }
  };

  it('is trusted at first sight and remembered for that port', async () => {
    expect(await connect()).toBe('in');
    expect(await store.find(server.host, server.port)).toEqual([server.hostKey]);
    expect(await store.find(server.host, 22)).toEqual([]);
    expect(await connect()).toBe('in');
    expect(await store.find(server.host, server.port)).toHaveLength(1);
  });

  it('is remembered under one name, however it is written', async () => {
    expect(await connect(transport, { ...target, host: 'LocalHost' })).toBe('in');
    expect(await store.find('localhost', server.port)).toEqual([server.hostKey]);
  });

  it.each([
    ['the same type', other],
    ['another type', otherRsa],
  ])('is refused when another of %s is known, with both fingerprints, before anything is sent', async (_name, known) => {
    await store.remember(server.host, server.port, known);
    const error = await connect(transport, { ...target, user: 'never-sent' });
    expect(error).toMatchObject({ kind: 'host-key-changed', retryable: false });
    expect((error as SshError).message).toBe(
      `the host key of ${server.host}:${server.port} has changed: known is ${fingerprintOf(known)} (${known.type}), ` +
        `the host now shows ${fingerprintOf(server.hostKey)} (${server.hostKey.type}). Nothing was sent to it. ` +
        'If the host was rebuilt, remove its known host key and run the job again; if not, somebody may be in between.',
    );
    expect(server.log()).not.toContain('never-sent');
    expect(await store.find(server.host, server.port)).toEqual([known]);
  });

  it('is forgotten and trusted anew when the host was rebuilt', async () => {
    await store.remember(server.host, server.port, other);
    expect(await connect(transport, { ...target, isFirstContact: true })).toBe('in');
    expect(await store.find(server.host, server.port)).toEqual([server.hostKey]);
  });

  it('is asked for in a type that is known, where the host has several', async () => {
    const rsa = makeSshKeyPair({ type: 'rsa' });
    const twoKeys = await startSshd({ hostKey: rsa, config: [`HostKey ${server.dir}/host_key`] });
    try {
      await store.remember(twoKeys.host, twoKeys.port, keyParts(rsa.publicKey));
      const to = { host: twoKeys.host, port: twoKeys.port, user: twoKeys.user };
      const withKey = new Ssh2Transport({ hostKeys: store, privateKey: new PrivateKeyFile(twoKeys.clientKeyPath) });
      expect(await connect(withKey, to)).toBe('in');
      expect(await store.find(twoKeys.host, twoKeys.port)).toEqual([keyParts(rsa.publicKey)]);
    } finally {
      await twoKeys.stop();
    }
  });

  it('must be known under the policy "strict"', async () => {
    const strict = new Ssh2Transport({ hostKeys: store, hostKeyPolicy: 'strict', privateKey: new PrivateKeyFile(server.clientKeyPath) });
    expect(await connect(strict)).toMatchObject({
      kind: 'host-key-unknown',
      message: expect.stringContaining(`It shows ${fingerprintOf(server.hostKey)} (ssh-ed25519).`) as string,
    });
    await store.remember(server.host, server.port, server.hostKey);
    expect(await connect(strict)).toBe('in');
  });

  it('is not trusted when it cannot be remembered, and no credential is sent', async () => {
    store.remember = () => Promise.reject(new Error('store is away'));
    expect(await connect(transport, { ...target, user: 'nobody-tried-this' })).toMatchObject({
      kind: 'host-key-store',
      retryable: true,
      message: `cannot write the known host keys for ${server.host}:${server.port}: store is away`,
    });
    expect(server.log()).not.toContain('nobody-tried-this');
    store.find = () => Promise.reject(new Error('store is away'));
    expect(await connect()).toMatchObject({ kind: 'host-key-store' });
  });

  it('has the fingerprint that ssh-keygen prints', () => {
    const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    expect(fingerprintOf({ type: 'ssh-ed25519', key })).toBe('SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
  });
});
