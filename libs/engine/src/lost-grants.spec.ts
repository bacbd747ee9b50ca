import { describe, expect, it } from 'vitest';
import { EngineWorld } from '@dynflow/testing';

/** A step that executor e1 holds, and what e1 says of itself in heartbeats. */
async function held() {
  const world = new EngineWorld();
  world.actions.executor('demo.A');
  const plan = await world.trigger('demo.A');
  const [token] = world.tokens;
  if (token === undefined) {
    throw new Error('the step is not ready');
  }
  await world.ask(async () => world.executor('demo').claim(token.token, 'c1'));
  world.tokens.length = 0;
  const [holder] = world.engine.claimHolders();
  if (holder === undefined) {
    throw new Error('nobody holds the step');
  }
  const heartbeat = (claims: string[]): Promise<void> => world.ask((engine) => engine.reconcile('demo', holder, claims));
  return { world, plan, holder, heartbeat };
}

describe('a step whose holder does not name it', () => {
  it('is given to whoever claims it next, after two heartbeats without it', async () => {
    const { world, plan, heartbeat } = await held();
    await world.advance(31_000);

    await heartbeat([]);
    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running' });
    await heartbeat([]);

    expect(world.plan(plan).step(2)).toMatchObject({ state: 'suspended', attempt: 2 });
    expect(world.tokens.map(({ token }) => token.attempt)).toEqual([2]);
  });

  it('stays with it while the grant may still be on its way, and when it is named in between', async () => {
    const { world, plan, heartbeat } = await held();
    await heartbeat([]);
    await heartbeat([]);
    await world.advance(31_000);
    await heartbeat([]);
    await heartbeat(['c1']);
    await heartbeat([]);

    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running' });
    expect(world.tokens).toEqual([]);
  });

  it('is not touched by what another executor, or another start of it, holds', async () => {
    const { world, plan, holder } = await held();
    await world.advance(31_000);
    for (const other of [
      { ...holder, executor: 'e2' },
      { ...holder, startId: 'other' },
    ]) {
      await world.ask((engine) => engine.reconcile('demo', other, []));
      await world.ask((engine) => engine.reconcile('demo', other, []));
    }

    expect(world.plan(plan).step(2)).toMatchObject({ state: 'running' });
  });
});

describe('claimHolders', () => {
  it('names each process that holds steps once, also after a restart', async () => {
    const { world, holder } = await held();

    await world.restart();

    expect(world.engine.claimHolders()).toEqual([holder]);
    await world.ask((engine) => engine.executorLost('demo', holder.executor, (startId) => startId === holder.startId));
    expect(world.engine.claimHolders()).toEqual([]);
  });
});

describe('a run that failed', () => {
  const start = async (isExternal: boolean) => {
    const world = new EngineWorld();
    world.actions.executor('demo.Job', { abandonedOutput: { exit_status: 'EXCEPTION' }, chunksAs: 'result', rescueStrategy: 'Fail' });
    const plan = await world.trigger('demo.Job', {}, { isExternal });
    const [token] = world.tokens;
    const answer = await world.ask(async () => world.executor('demo').claim(token?.token as NonNullable<typeof token>['token']));
    await world.fail(answer as Parameters<typeof world.fail>[0], { errorClass: 'Boom', message: 'it broke', kind: 'final' });
    return { world, plan };
  };

  it('counts as abandoned when another system started it, with the error as its last line', async () => {
    const { world, plan } = await start(true);

    expect(world.plan(plan).step(2)).toMatchObject({ state: 'success' });
    expect(world.plan(plan).action(1).output).toMatchObject({ exit_status: 'EXCEPTION' });
    expect(await world.store.chunks(plan, 1)).toMatchObject([{ kind: 'debug', text: 'Boom: it broke\n' }]);
  });

  it('is an error of the step when this service started it', async () => {
    const { world, plan } = await start(false);

    expect(world.plan(plan).step(2)).toMatchObject({ state: 'error', error: { message: 'it broke' } });
  });
});
