import { describe, expect, it } from 'vitest';
import { ManifestV1, PluginDeclaration, type HeartbeatV1 } from '@dynflow/contracts';
import { ManualClock } from '@dynflow/testing';
import { PluginRegistry } from './plugin-registry.js';

const MINUTE_MS = 60_000;

function manifest(change: Partial<ManifestV1> = {}): ManifestV1 {
  return ManifestV1.parse({
    type: 'manifest',
    version: 1,
    contracts: { min: 1, max: 1 },
    executor: 'one',
    startId: 'start-1',
    slots: 4,
    health: { state: 'running' },
    declaration: {
      plugin: 'example',
      pluginVersion: '1.0.0',
      actions: [{ name: 'example.Greet', version: 1, inputSchema: {}, run: true }],
      operations: [{ name: 'greet', launcher: 'single', action: 'example.Greet' }],
      features: [{ name: 'greeting' }],
      aliases: { 'Old::Greet': 'example.Greet' },
    },
    ...change,
  });
}

function heartbeat(startId = 'start-1', draining = false): HeartbeatV1 {
  return { type: 'heartbeat', version: 1, executor: 'one', startId, draining, slots: { total: 4, used: 0 }, held: [] };
}

describe('PluginRegistry', () => {
  it('advertises what an executor that can work has announced', () => {
    const registry = new PluginRegistry(new ManualClock());

    expect(registry.announce(manifest(), 'example')).toBeUndefined();

    expect(registry.operations()).toEqual([
      { name: 'greet', launcher: 'single', action: 'example.Greet', plugin: 'example', availability: 'alive', reason: null },
    ]);
    expect(registry.features()[0]).toMatchObject({ name: 'greeting', availability: 'alive', pluginVersion: '1.0.0' });
    expect(registry.slotsOf('example')).toBe(4);
    expect(registry.resolveAction('Old::Greet')).toBe('example.Greet');
    expect(registry.resolveAction('Unknown')).toBeUndefined();
  });

  it('keeps a silent plugin as away for the grace, then calls it broken with the reason', () => {
    const clock = new ManualClock();
    const registry = new PluginRegistry(clock);
    registry.announce(manifest(), 'example');

    clock.advance(MINUTE_MS);
    expect(registry.operations()[0]).toMatchObject({ availability: 'away' });
    expect(registry.slotsOf('example')).toBe(0);

    clock.advance(15 * MINUTE_MS);
    expect(registry.operations()[0]).toMatchObject({ availability: 'broken', reason: expect.stringContaining('example') as string });

    registry.heard(heartbeat(), 'example');
    expect(registry.operations()[0]).toMatchObject({ availability: 'alive' });
  });

  it('says why a plugin is broken when its start-up check failed', () => {
    const registry = new PluginRegistry(new ManualClock());
    registry.announce(manifest({ health: { state: 'broken', reason: 'the key is missing' } }), 'example');

    expect(registry.operations()[0]).toMatchObject({ availability: 'broken', reason: 'the key is missing' });
  });

  it('gives a draining executor no new work, and calls the plugin away when it was the last', () => {
    const registry = new PluginRegistry(new ManualClock());
    registry.announce(manifest(), 'example');

    registry.heard(heartbeat('start-1', true), 'example');

    expect(registry.slotsOf('example')).toBe(0);
    expect(registry.operations()[0]).toMatchObject({ availability: 'away' });
  });

  it('asks an executor to announce itself when its start is not the known one', () => {
    const registry = new PluginRegistry(new ManualClock());

    expect(registry.heard(heartbeat(), 'example')).toBe(false);
    registry.announce(manifest(), 'example');
    expect(registry.heard(heartbeat(), 'example')).toBe(true);
    expect(registry.heard(heartbeat('start-2'), 'example')).toBe(false);
  });

  it('refuses a manifest of another plugin, of another protocol, with foreign actions, or of a plugin inside the gateway', () => {
    const registry = new PluginRegistry(new ManualClock());
    const foreign = manifest().declaration;
    registry.addLocal({ ...foreign, plugin: 'inside' });

    expect(registry.announce(manifest(), 'other')).toContain('"example"');
    expect(registry.announce(manifest({ contracts: { min: 2, max: 3 } }), 'example')).toContain('2 to 3');
    expect(registry.announce(manifest({ declaration: { ...foreign, plugin: 'thief' } }), 'thief')).toContain('example.Greet');
    expect(registry.announce(manifest({ declaration: { ...foreign, plugin: 'inside' } }), 'inside')).toContain('inside');
    expect(registry.operations()).toHaveLength(1);
  });

  it('knows a stored declaration as away until its executor speaks', () => {
    const registry = new PluginRegistry(new ManualClock());
    registry.addStored(manifest().declaration);

    expect(registry.operations()[0]).toMatchObject({ availability: 'away' });
    registry.announce(manifest(), 'example');
    expect(registry.operations()[0]).toMatchObject({ availability: 'alive' });
  });

  it('forgets executors that were silent too long', () => {
    const clock = new ManualClock();
    const registry = new PluginRegistry(clock);
    registry.announce(manifest(), 'example');

    clock.advance(4 * MINUTE_MS);
    registry.forgetSilent(5 * MINUTE_MS);
    expect(registry.lastHeardMs('example', 'one', 'start-1')).toBe(clock.now() - 4 * MINUTE_MS);

    clock.advance(2 * MINUTE_MS);
    registry.forgetSilent(5 * MINUTE_MS);
    expect(registry.lastHeardMs('example', 'one', 'start-1')).toBeUndefined();
  });
});

describe('subscribers', () => {
  it('are found over all plugins, each once, also those announced later', () => {
    const registry = new PluginRegistry(new ManualClock());
    const declare = (plugin: string, actions: { name: string; subscribesTo?: string[] }[]): PluginDeclaration =>
      PluginDeclaration.parse({
        plugin,
        pluginVersion: '1',
        actions: actions.map((action) => ({ version: 1, inputSchema: {}, run: true, ...action, name: `${plugin}.${action.name}` })),
      });
    registry.addLocal(declare('a', [{ name: 'Trigger' }, { name: 'Zulu', subscribesTo: ['a.Trigger', 'a.Trigger'] }]));
    expect(registry.subscribersOf('a.Trigger')).toEqual(['a.Zulu']);
    registry.addStored(declare('b', [{ name: 'Audit', subscribesTo: ['a.Trigger', 'b.Other'] }]));
    expect(registry.subscribersOf('a.Trigger')).toEqual(['a.Zulu', 'b.Audit']);
    expect(registry.subscribersOf('b.Other')).toEqual(['b.Audit']);
    expect(registry.subscribersOf('b.Audit')).toEqual([]);
  });
});

describe('versions of an action', () => {
  const greet = (...versions: number[]): Partial<ManifestV1> => ({
    declaration: PluginDeclaration.parse({
      plugin: 'example',
      pluginVersion: `${Math.max(...versions)}.0.0`,
      actions: versions.map((version) => ({ name: 'example.Greet', version, inputSchema: {}, run: true })),
    }),
  });
  const holder = (executor: string) => ({ plugin: 'example', executor, startId: 'start-1' });

  it('are all kept; new plans are made under the newest that somebody serves', () => {
    const clock = new ManualClock();
    const registry = new PluginRegistry(clock);
    registry.addStored(manifest(greet(3)).declaration);
    registry.addStored(manifest(greet(1)).declaration);
    expect(registry.declarationOf('example.Greet')?.version).toBe(3);
    expect(registry.declarationOf('example.Greet', 1)?.version).toBe(1);
    expect(registry.servedVersions('example.Greet')).toBeUndefined();

    registry.announce(manifest({ ...greet(1), executor: 'old' }), 'example');
    expect(registry.declarationOf('example.Greet')?.version).toBe(1);
    registry.announce(manifest({ ...greet(1, 2), executor: 'new' }), 'example');
    expect(registry.declarationOf('example.Greet')?.version).toBe(2);
    expect([...(registry.servedVersions('example.Greet') ?? [])]).toEqual([1, 2]);
    expect([1, 2].map((version) => registry.serves(holder('old'), 'example.Greet', version))).toEqual([true, false]);
    expect(registry.serves({ ...holder('old'), startId: 'earlier' }, 'example.Greet', 2)).toBeUndefined();

    clock.advance(MINUTE_MS);
    expect(registry.forgetSilent(MINUTE_MS - 1)).toEqual(new Set(['example']));
    expect(registry.servedVersions('example.Greet')).toBeUndefined();
    expect(registry.declarationOf('example.Greet')?.version).toBe(3);
  });

  it('of an executor that cannot work are not served', () => {
    const registry = new PluginRegistry(new ManualClock());
    registry.announce(manifest({ ...greet(2), health: { state: 'broken', reason: 'no ssh' } }), 'example');
    expect(registry.servedVersions('example.Greet')).toEqual(new Set());
  });

  it('stored by a release that this one cannot read are left out', () => {
    const registry = new PluginRegistry(new ManualClock());
    registry.addStored({ plugin: 'example', actions: 'none' } as unknown as PluginDeclaration);
    expect(registry.declarationOf('example.Greet')).toBeUndefined();
  });
});
