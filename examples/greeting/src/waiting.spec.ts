import { defineAction, definePlugin, definePollingAction, defineSubPlansAction, suspend } from '@dynflow/plugin';
import { PluginWorld } from '@dynflow/testing/plugin';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { plugin as greeting } from './index.js';

/** A courier that needs three looks to arrive. */
const courier = {
  sent: [] as string[],
  send: async (name: string) => Promise.resolve(courier.sent.push(name)),
  whereIs: async (parcel: number) => Promise.resolve({ parcel, isThere: (courier.looks += 1) >= 3 }),
  looks: 0,
};

const sendParcel = definePollingAction({
  name: 'SendParcel',
  input: z.object({ name: z.string() }),
  invoke: async ({ input }) => ({ parcel: await courier.send(input.name), isThere: false }),
  poll: async (_, task) => courier.whereIs((task as { parcel: number }).parcel),
  isDone: (task) => (task as { isThere: boolean }).isThere,
  intervalsMs: [1_000, 60_000],
  attemptsPerInterval: 2,
  timeoutMs: 3_600_000,
  onFinish: async () => Promise.resolve({ is_delivered: true }),
});

const inviteAll = defineSubPlansAction({
  name: 'InviteAll',
  input: z.object({ guests: z.array(z.string()) }),
  totalCount: ({ guests }) => guests.length,
  batch: ({ guests }, from, size) =>
    guests.slice(from, from + size).map((name) => ({ action: 'example_greeting.Greet', input: { name }, label: `greet ${name}` })),
  concurrencyLimit: 2,
  onFinish: ({ counters }) => ({ invited: counters.success_count }),
});

const throwParty = defineAction({
  name: 'ThrowParty',
  input: z.object({ guests: z.array(z.string()) }),
  run: async ({ input, subPlans }) => {
    if (subPlans === undefined) {
      const guests = input.guests.map((name) => ({ action: 'example_greeting.Greet', input: { name } }));
      return Promise.resolve(suspend({ checkpoint: null, waitingFor: 'the guests', subPlans: guests, concurrencyLimit: 5 }));
    }
    return Promise.resolve({ came: subPlans.success, stayed_away: subPlans.failed });
  },
});

const ringLater = defineAction({
  name: 'RingLater',
  input: z.object({}),
  run: async ({ onEvent }) => {
    const events: unknown[] = [];
    onEvent((data) => void events.push(data));
    return Promise.resolve(
      events.includes('ring')
        ? { has_rung: true }
        : suspend({ checkpoint: null, waitingFor: 'the bell', wakeAfterMs: 60_000, event: 'ring' }),
    );
  },
});

const plugin = definePlugin({
  name: 'example_party',
  version: '1',
  settings: { section: 'party', schema: z.object({}) },
  actions: [sendParcel, throwParty, ringLater],
  gateway: { actions: [inviteAll] },
});

const world = async (): Promise<PluginWorld> => PluginWorld.start(plugin, greeting);

describe('an action that waits', () => {
  it('polls until its task is done', async () => {
    const plan = await (await world()).run('example_party.SendParcel', { name: 'Ada' });
    expect(plan.output()).toMatchObject({ task: { isThere: true }, poll_attempts: { total: 3, failed: 0 }, is_delivered: true });
  });

  it('makes sub-plans in batches', async () => {
    const plan = await (await world()).run('example_party.InviteAll', { guests: ['Ada', 'Grace', 'Mary'] });
    expect(plan.output()).toMatchObject({ total_count: 3, success_count: 3, pending_count: 0, invited: 3 });
  });

  it('has sub-plans of its own in an executor', async () => {
    const plan = await (await world()).run('example_party.ThrowParty', { guests: ['Ada', 'Grace'] });
    expect(plan.output()).toEqual({ came: 2, stayed_away: 0 });
  });

  it('plans an event for itself', async () => {
    const plan = await (await world()).run('example_party.RingLater');
    expect(plan.output()).toEqual({ has_rung: true });
  });
});
