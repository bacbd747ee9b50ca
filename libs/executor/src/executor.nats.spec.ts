import { CompactEncrypt, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connectNatsBus, type NatsBus } from '@dynflow/bus';
import { natsUsers, startNatsServer, type NatsServer } from '@dynflow/testing';
import { Gate } from './spec-support/manual-clock.js';
import { startSpecExecutor, type SpecExecutor } from './spec-support/spec-executor.js';

const PLUGIN = 'spec_plugin';
let server: NatsServer;

// With the rights that a real installation gives an executor.
beforeAll(async () => {
  server = await startNatsServer({ config: natsUsers([PLUGIN]), syncAlways: true });
});
afterAll(async () => {
  await server.stop();
});

async function startOverNats(
  action: Parameters<typeof startSpecExecutor>[0],
  options: Parameters<typeof startSpecExecutor>[1] = {},
): Promise<SpecExecutor> {
  const connect = async (user: string): Promise<NatsBus> =>
    connectNatsBus({ url: server.url, user, name: user, credentials: { user, password: user } });
  const [bus, ownerBus] = await Promise.all([connect(PLUGIN), connect('gateway')]);
  onTestFinished(async () => ownerBus.close());
  return startSpecExecutor(action, { bus, ownerBus, ...options });
}

describe('an executor over NATS', () => {
  it('runs steps with output and secrets, with the rights of its plugin alone', async () => {
    const { owner, executor } = await startOverNats({
      name: 'Greet',
      chunksAs: 'result',
      secrets: ['word'],
      run: async (context) => {
        const { word } = context.input as { word: string };
        for (let line = 0; line < 100; line += 1) {
          await context.write('stdout', `${context.plan} ${line}\n`);
        }
        return { length: word.length };
      },
    });
    owner.grantOrRefuse = async (claim, request) => {
      const key = await importJWK(request.publicKey ?? {}, 'ECDH-ES+A256KW');
      const sealed = new CompactEncrypt(new TextEncoder().encode(JSON.stringify({ word: claim.plan })));
      const secrets = await sealed.setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }).encrypt(key);
      return { ...owner.grant(claim), secrets };
    };
    await executor.announced;
    const plans = Array.from({ length: 20 }, (_, index) => `plan-${index}`);
    await Promise.all(plans.map(async (plan) => owner.token(plan)));
    for (const plan of plans) {
      expect(await owner.outcome(plan)).toEqual({ kind: 'done', output: { length: plan.length } });
      expect(owner.text(plan)).toBe(Array.from({ length: 100 }, (_, line) => `${plan} ${line}\n`).join(''));
    }
    expect(new Set(owner.reports.map((report) => report.claim)).size).toBe(20);
  });

  it('brings home what ran while the server was gone, and works on after', async () => {
    const gate = new Gate();
    const { owner } = await startOverNats(
      {
        name: 'Outlive',
        chunksAs: 'result',
        run: async (context) => {
          await context.write('stdout', 'before ');
          if (context.plan === 'outage') {
            await gate.passed;
            await context.write('stdout', 'during ');
          }
          return { exit_status: 0 };
        },
      },
      { slots: 1, tuning: { resendMs: 500 } },
    );
    await owner.token('outage');
    await owner.until(() => owner.text('outage') === 'before ');
    await server.kill();
    gate.open();
    await server.restart();
    expect(await owner.outcome('outage')).toEqual({ kind: 'done', output: { exit_status: 0 } });
    expect(owner.text('outage')).toBe('before during ');
    expect(await owner.run('after')).toEqual({ kind: 'done', output: { exit_status: 0 } });
    const manifests = await owner.until(() => owner.manifests.length >= 2 && owner.manifests);
    expect(new Set(manifests.map((manifest) => manifest.startId)).size).toBe(1);
  });
});
