import { describe, expect, it } from 'vitest';
import { InProcessBus, NoResponderError, type BusSubscription } from '@dynflow/bus';

/** Executors that share a subject, as those of one plugin do when they are asked for plans. */
function ring() {
  const bus = new InProcessBus();
  return {
    join: (name: string): BusSubscription => bus.subscribe('plan.demo', () => name, { queue: 'executors' }),
    ask: async (times: number): Promise<unknown[]> => {
      const answers: unknown[] = [];
      for (let count = 0; count < times; count += 1) {
        answers.push(await bus.request('plan.demo', {}, { timeoutMs: 1_000 }));
      }
      return answers;
    },
  };
}

describe('executors that share work', () => {
  it('RR1: are none: each time the asker is told', async () => {
    const { ask } = ring();
    await expect(ask(1)).rejects.toBeInstanceOf(NoResponderError);
    await expect(ask(1)).rejects.toBeInstanceOf(NoResponderError);
  });

  it('RR2: is one: it is chosen every time', async () => {
    const { join, ask } = ring();
    join('one');
    expect(await ask(3)).toEqual(['one', 'one', 'one']);
  });

  it('RR3: are two: they take turns', async () => {
    const { join, ask } = ring();
    join('one');
    join('two');
    expect(await ask(4)).toEqual(['one', 'two', 'one', 'two']);
  });

  it('RR4: one has left: it is always the other', async () => {
    const { join, ask } = ring();
    const one = join('one');
    join('two');
    one.unsubscribe();
    expect(await ask(3)).toEqual(['two', 'two', 'two']);
  });

  it('RR5: both have left: there is nobody', async () => {
    const { join, ask } = ring();
    const members = [join('one'), join('two')];
    expect(await ask(2)).toHaveLength(2);
    members.forEach((member) => member.unsubscribe());
    await expect(ask(1)).rejects.toBeInstanceOf(NoResponderError);
  });
});
