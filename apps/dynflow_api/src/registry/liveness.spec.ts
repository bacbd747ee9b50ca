import { beforeEach, describe, expect, it } from 'vitest';
import { ManifestV1, type HeartbeatV1 } from '@dynflow/contracts';
import { ManualClock } from '@dynflow/testing';
import { DEFAULT_REGISTRY_TUNING, PluginRegistry } from './plugin-registry.js';

const LOST_AFTER_MS = 5 * 60_000;

const manifest = ManifestV1.parse({
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
    features: [],
    aliases: {},
  },
});

const heartbeat: HeartbeatV1 = {
  type: 'heartbeat',
  version: 1,
  executor: 'one',
  startId: 'start-1',
  draining: false,
  slots: { total: 4, used: 0 },
  held: [],
};

describe('whether an executor is there', () => {
  let clock: ManualClock;
  let registry: PluginRegistry;
  beforeEach(() => {
    clock = new ManualClock();
    registry = new PluginRegistry(clock);
    registry.announce(manifest, 'example');
  });
  const availability = (): string | undefined => registry.operations()[0]?.availability;

  it('DI7: is known of a living one without asking it', () => {
    clock.advance(DEFAULT_REGISTRY_TUNING.suspectAfterMs);
    expect(availability()).toBe('alive');
    expect(registry.slotsOf('example')).toBe(4);
  });

  it('DI8: is renewed by each of its heartbeats', () => {
    for (let beat = 0; beat < 5; beat += 1) {
      clock.advance(DEFAULT_REGISTRY_TUNING.suspectAfterMs);
      expect(registry.heard(heartbeat, 'example')).toBe(true);
    }
    expect(availability()).toBe('alive');
  });

  it('DI9: is denied of one that has been silent', () => {
    clock.advance(DEFAULT_REGISTRY_TUNING.suspectAfterMs + 1);
    expect(availability()).toBe('away');
    expect(registry.slotsOf('example')).toBe(0);
  });

  it('DI10: is denied of one that speaks up after it was given up: it has to announce itself', () => {
    clock.advance(LOST_AFTER_MS + 1);
    registry.forgetSilent(LOST_AFTER_MS);
    expect(registry.lastHeardMs('example', 'one', 'start-1')).toBeUndefined();
    expect(registry.heard(heartbeat, 'example')).toBe(false);
  });

  it('DI11: is on record right after its start', () => {
    expect(registry.lastHeardMs('example', 'one', 'start-1')).toBe(clock.now());
    expect(availability()).toBe('alive');
  });

  it('DI12: is not believed of an old record', () => {
    clock.advance(DEFAULT_REGISTRY_TUNING.awayGraceMs + 1);
    expect(registry.operations()[0]).toMatchObject({
      availability: 'broken',
      reason: 'no executor of example has been heard for 15 minutes',
    });
  });
});
