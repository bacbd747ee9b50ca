import { CompactEncrypt, importJWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { CancelRequested, type RunContext } from '@dynflow/plugin';
import { subjects, type ClaimRequestV1 } from '@dynflow/contracts';
import type { JsonObject, JsonValue } from '@dynflow/kernel';
import { Gate, turns } from './spec-support/manual-clock.js';
import { startSpecExecutor } from './spec-support/spec-executor.js';

describe('cancel', () => {
  const untilCancelled = async (context: Pick<RunContext, 'signal'>): Promise<JsonObject> => {
    const reasons: string[] = [];
    await new Promise<void>((resolve) => {
      context.signal.addEventListener('abort', () => {
        const reason: unknown = context.signal.reason;
        reasons.push(reason instanceof CancelRequested && reason.isForced ? 'forced' : 'asked');
        if (reasons.at(-1) === 'forced') {
          resolve();
        }
      });
    });
    return { reasons };
  };

  it('aborts the signal once however often it comes, and again by force', async () => {
    const { owner } = await startSpecExecutor({ name: 'Wait', cancellable: true, run: untilCancelled });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await turns();
    owner.sendEvent('p1', { kind: 'cancel', force: false });
    owner.sendEvent('p1', { kind: 'cancel', force: false });
    await turns();
    expect(owner.reports).toEqual([]);
    owner.sendEvent('p1', { kind: 'cancel', force: true });
    owner.sendEvent('p1', { kind: 'cancel', force: true });
    expect(await owner.outcome('p1')).toEqual({ kind: 'done', output: { reasons: ['asked', 'forced'] } });
  });

  it('says why, when a limit of time is the reason and not a person', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Wait',
      run: async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        const { isForced, reason, message } = signal.reason as CancelRequested;
        return { isForced, reason: reason ?? null, message };
      },
    });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await turns();
    owner.sendEvent('p1', { kind: 'cancel', force: true, reason: 'too long' });
    expect(await owner.outcome('p1')).toEqual({ kind: 'done', output: { isForced: true, reason: 'too long', message: 'too long' } });
  });

  it('that overtakes the answer to the claim is not lost', async () => {
    const gate = new Gate();
    const { owner } = await startSpecExecutor({
      name: 'Wait',
      cancellable: true,
      run: async (context) =>
        Promise.resolve({ aborted: context.signal.aborted, forced: (context.signal.reason as CancelRequested).isForced }),
    });
    owner.answerClaims = async (request) => {
      await gate.passed;
      return owner.answer(request);
    };
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    owner.sendEvent('p1', { kind: 'cancel', force: false });
    await turns();
    gate.open();
    expect(await owner.outcome('p1')).toEqual({ kind: 'done', output: { aborted: true, forced: false } });
  });

  it('whose reason is thrown fails the step by its name', async () => {
    const { owner } = await startSpecExecutor({
      name: 'Wait',
      cancellable: true,
      run: async (context) =>
        new Promise((_, reject) => {
          context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
        }),
    });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await turns();
    owner.sendEvent('p1', { kind: 'cancel', force: false });
    expect(await owner.outcome('p1')).toMatchObject({ kind: 'failed', error: { errorClass: 'CancelRequested', message: 'cancelled' } });
  });
});

describe('events', () => {
  it('reach the run once each, also those from before it listened', async () => {
    const heard = new Gate();
    const listening = new Gate();
    const { owner } = await startSpecExecutor({
      name: 'Listen',
      run: async (context) => {
        await listening.passed;
        const events: JsonValue[] = [];
        context.onEvent((data) => {
          events.push(data);
          if (data === 'last') {
            heard.open();
          }
        });
        await heard.passed;
        return { events };
      },
    });
    owner.grants.set('p1', { events: ['stored'] });
    await owner.token('p1');
    await owner.until(() => owner.claimRequests.length === 1);
    await turns();
    owner.sendEvent('p1', { kind: 'external', id: 'e1', data: 'early' });
    owner.sendEvent('p1', { kind: 'external', id: 'e1', data: 'early' });
    await turns();
    listening.open();
    await turns();
    owner.sendEvent('p1', { kind: 'external', id: 'e2', data: { n: 2 } });
    owner.sendEvent('p1', { kind: 'external', id: 'e1', data: 'early' });
    owner.sendEvent('p1', { kind: 'external', id: 'e3', data: 'last' });
    expect(await owner.outcome('p1')).toEqual({ kind: 'done', output: { events: ['stored', 'early', { n: 2 }, 'last'] } });
  });

  it('that come after the run has ended are refused, so that the next invocation gets them', async () => {
    const { owner, bus } = await startSpecExecutor({ name: 'Short', run: async () => Promise.resolve({}) });
    owner.appliesReports = false;
    await owner.run('p1');
    const event = { type: 'step.event', version: 1, claim: owner.claimOf('p1'), event: { kind: 'external', id: 'e1', data: 1 } };
    await expect(bus.request(subjects.executor('spec_plugin', 'one'), event, { timeoutMs: 5_000 })).rejects.toThrow(
      'cannot take events any more',
    );
    owner.apply(owner.reports);
  });

  it('that make no sense are dropped with a warning', async () => {
    const { owner, log } = await startSpecExecutor({ name: 'Noop', run: async () => Promise.resolve({}) });
    await owner.run('p1');
    owner.tell({ type: 'step.event', claim: 7 });
    owner.tell({ type: 'something.new' });
    await turns();
    expect(log.lines.filter((line) => line.includes('an unknown message is dropped'))).toHaveLength(2);
    expect((await owner.run('p2')).kind).toBe('done');
  });
});

describe('secrets', () => {
  const seal = async (request: ClaimRequestV1, secrets: JsonObject): Promise<string> => {
    const key = await importJWK(request.publicKey ?? {}, 'ECDH-ES+A256KW');
    return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(secrets)))
      .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' })
      .encrypt(key);
  };
  const action = {
    name: 'Login',
    secrets: ['password'],
    run: async (context: { input: unknown }): Promise<JsonObject> =>
      Promise.resolve({ length: String((context.input as JsonObject)['password']).length }),
  };

  it('are opened and stand in their places in the input', async () => {
    const { owner } = await startSpecExecutor(action);
    owner.grantOrRefuse = async (claim, request) => ({
      ...owner.grant(claim),
      input: { user: 'ada' },
      secrets: await seal(request, { password: 'hunter2' }),
    });
    expect(await owner.run('p1')).toEqual({ kind: 'done', output: { length: 7 } });
    const { publicKey } = owner.claimRequests[0] ?? {};
    expect(publicKey).toMatchObject({ kty: 'EC', crv: 'P-256' });
    expect(publicKey).not.toHaveProperty('d');
  });

  it('that were sealed to somebody else end the step, which nothing has happened to', async () => {
    const { owner, log } = await startSpecExecutor(action);
    owner.grantOrRefuse = (claim) => ({ ...owner.grant(claim), secrets: 'a.b.c.d.e' });
    expect(await owner.run('p1')).toMatchObject({ kind: 'failed', error: { errorClass: 'SealedSecretsError', kind: 'retryable' } });
    expect(log.lines.join()).not.toContain('hunter2');
  });

  it('cost nothing where no action has any', async () => {
    const { owner } = await startSpecExecutor({ name: 'Noop', run: async () => Promise.resolve({}) });
    await owner.run('p1');
    expect(owner.claimRequests[0]).not.toHaveProperty('publicKey');
  });

  it('use one key pair for claims that are close together', async () => {
    const { owner } = await startSpecExecutor(action);
    await owner.run('p1');
    await owner.run('p2');
    expect(owner.claimRequests[1]?.publicKey).toEqual(owner.claimRequests[0]?.publicKey);
  });
});

describe('what a run gives while it goes on', () => {
  it.each<[string, (context: Pick<RunContext, 'update' | 'planEvent'>) => void, string]>([
    ['an update', (context) => context.update({ output: { at: new Date() as unknown as string } }), 'update.output.at: Date'],
    ['a checkpoint', (context) => context.update({ checkpoint: [Number.NaN] }), 'update.checkpoint.0: NaN'],
    ['an event', (context) => context.planEvent({ of: 1n as unknown as number }, 0), 'data.of: a bigint'],
  ])('has to be JSON: %s', async (_what, give, place) => {
    const { owner } = await startSpecExecutor({
      name: 'Give',
      run: async (context) => {
        give(context);
        return Promise.resolve({});
      },
    });
    expect(await owner.run('p1')).toMatchObject({
      kind: 'failed',
      error: { code: 'DYN_INVALID_OUTPUT', message: expect.stringContaining(place) },
    });
  });
});
