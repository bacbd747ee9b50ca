import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  GatewayStacks,
  defineGatewayMiddleware,
  defineHook,
  defineLocalAction,
  definePlugin,
  doNotUse,
  extendAction,
  humanizedStateOf,
  outputsOf,
  plannedActions,
  resolveHooks,
  withoutHook,
  type GatewayMiddleware,
  type LocalActionDefinition,
  type Plugin,
} from './index.js';
import { makePlanEvent, makePlanView, runLocal } from './testing/index.js';

const input = z.object({ host: z.string() });

function pluginWith(actions: LocalActionDefinition[], middleware: GatewayMiddleware[] = [], name = 'demo'): Plugin {
  return definePlugin({ name, version: '1', settings: { section: name, schema: z.object({}) }, gateway: { actions, middleware } });
}

const Echo = defineLocalAction({ name: 'Echo', input, run: (context) => ({ kind: 'done', output: { host: context.input.host } }) });

describe('middleware around a local run', () => {
  const shout = defineGatewayMiddleware({
    name: 'shout',
    run: (pass, call) => {
      const outcome = pass({ ...call.input, host: `${String(call.input['host'])}!` });
      return outcome.kind === 'done' ? { ...outcome, output: { ...outcome.output, by: call.action } } : outcome;
    },
  });

  it('changes what goes in and what comes out, and is the plugin’s own business', () => {
    const changed = { outcome: { kind: 'done', output: { host: 'a!', by: 'demo.Echo' } }, commands: [] };
    expect(runLocal(pluginWith([Echo], [shout]), 'Echo', { input: { host: 'a' } })).toEqual(changed);
    expect(runLocal(pluginWith([extendAction(Echo, { name: 'Echo', middleware: [shout] })]), 'Echo', { input: { host: 'a' } })).toEqual(
      changed,
    );
    const stacks = new GatewayStacks([pluginWith([Echo], [shout]), pluginWith([Echo], [], 'other')]);
    expect([stacks.aroundRun('demo.Echo').length, stacks.aroundRun('other.Echo').length]).toEqual([1, 0]);
    expect([stacks.aroundAction('other.Echo').length, stacks.aroundAction('executed.Any').length]).toEqual([1, 1]);
  });

  it('may skip the run, with what it asked for left undone', () => {
    const Ask = defineLocalAction({
      name: 'Ask',
      input,
      run: (context) => {
        context.effect('call', {});
        return { kind: 'suspended', checkpoint: null, waitingFor: 'the answer' };
      },
    });
    const skip = defineGatewayMiddleware({ name: 'skip', run: () => ({ kind: 'done', output: {} }) });
    expect(runLocal(pluginWith([Ask]), 'Ask', { input: { host: 'a' } }).commands).toHaveLength(1);
    expect(runLocal(pluginWith([Ask], [skip]), 'Ask', { input: { host: 'a' } })).toEqual({
      outcome: { kind: 'done', output: {} },
      commands: [],
    });
  });

  it('is left out by a derived action', () => {
    const Loud = extendAction(Echo, { name: 'Loud', middleware: [shout] });
    const Quiet = extendAction(Loud, { name: 'Quiet', middleware: [doNotUse('shout')] });
    const plugin = pluginWith([Loud, Quiet]);
    expect(runLocal(plugin, 'Loud', { input: { host: 'a' } }).outcome).toMatchObject({ output: { host: 'a!' } });
    expect(runLocal(plugin, 'Quiet', { input: { host: 'a' } }).outcome).toMatchObject({ output: { host: 'a' } });
  });
});

it('what a local action decides has to be JSON, and its input has to fit', () => {
  const decide = (output: object): (() => unknown) => {
    const action = defineLocalAction({ name: 'Wrong', input, run: () => ({ kind: 'done', output: output as never }) });
    return () => runLocal(pluginWith([action]), 'Wrong', { input: { host: 'a' } });
  };
  expect(decide({ at: new Date() })).toThrow('what demo.Wrong decided cannot be kept as JSON: outcome.output.at: Date');
  expect(decide({ count: Number.NaN })).toThrow('outcome.output.count: NaN');
  expect(() => runLocal(pluginWith([Echo]), 'Echo', { input: { host: 7 } })).toThrow('input.host');
});

describe('hooks of an action', () => {
  const told: string[] = [];
  const note = defineHook({ name: 'note', run: (event) => void told.push(event.kind) });
  const end = defineHook({ name: 'end', on: ['success', 'failure'], run: () => undefined });
  const names = (action: LocalActionDefinition): string[] =>
    resolveHooks(action.hooks ?? []).map(({ hook, kinds }) => `${hook.name} ${[...kinds].join(' ')}`);

  it('are for the seven states unless they say otherwise', () => {
    expect(names(extendAction(Echo, { name: 'Hooked', hooks: [note, end] }))).toEqual([
      'note pending scheduled planning planned running paused stopped',
      'end success failure',
    ]);
  });

  it('are inherited, replaced by name, and left out as a whole or for some kinds', () => {
    const Base = extendAction(Echo, { name: 'Base', hooks: [note, end] });
    expect(names(extendAction(Base, { name: 'Same' }))).toEqual(names(Base));
    expect(names(extendAction(Base, { name: 'Without', hooks: [withoutHook('note'), withoutHook('end', ['failure'])] }))).toEqual([
      'end success',
    ]);
    expect(names(extendAction(Base, { name: 'Other', hooks: [{ ...note, on: ['paused'] }] }))).toEqual([
      'note paused',
      'end success failure',
    ]);
  });

  it('can be called with an event made for the test', () => {
    note.run(makePlanEvent('failure', 'demo.Echo'));
    expect(told).toEqual(['failure']);
  });
});

describe('a view of a plan', () => {
  const view = makePlanView([
    { name: 'demo.Root', state: null },
    { name: 'demo.Work', output: { n: 1 } },
    { name: 'demo.Work', output: { n: 2 }, state: 'suspended' },
  ]);

  it('gives the actions of a name and their outputs', () => {
    expect(plannedActions(view, 'demo.Work').map(({ id }) => id)).toEqual([2, 3]);
    expect(outputsOf(view, 'demo.Work')).toEqual([{ n: 1 }, { n: 2 }]);
    expect(outputsOf(view, 'demo.None')).toEqual([]);
  });

  it('tells how an action stands in its author’s words', () => {
    const words = view.actions.map((action) => humanizedStateOf(view, action, { suspended: 'waiting' }));
    expect(words).toEqual(['success', 'success', 'waiting']);
    expect([view.state, view.result, view.runFlow]).toEqual(['running', 'pending', ['S', 3, 5]]);
  });
});
