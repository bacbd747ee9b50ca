import type { FeatureStatus, GatewayApi, GatewayRoute } from '@dynflow/plugin';
import { SINGLE, launchableOperations } from '../launchers/launch.js';
import { answering } from './answers.js';

/**
 * What a smart proxy says about itself, made from what can be run now: a plugin whose executors are away for a moment stays on the list
 * (Foreman replaces its own at each refresh), one that is broken does not.
 */
export function featureRoutes(gateway: GatewayApi): GatewayRoute[] {
  return [
    {
      method: 'GET',
      path: '/features',
      access: 'open',
      summary: 'Names of the features that can be used',
      handle: answering(() => Promise.resolve({ status: 200, json: names(gateway) })),
    },
    {
      method: 'GET',
      path: '/v2/features',
      access: 'trusted',
      summary: 'Features with their states and capabilities',
      handle: answering(() => Promise.resolve({ status: 200, json: details(gateway) })),
    },
    {
      method: 'GET',
      path: '/version',
      access: 'open',
      summary: 'Versions of this service and of its plugins',
      handle: answering(() => Promise.resolve({ status: 200, json: versions(gateway) })),
    },
  ];
}

const isUsable = (feature: FeatureStatus): boolean => feature.availability !== 'broken';

function names(gateway: GatewayApi): string[] {
  const usable = gateway.features().filter(isUsable);
  return ['dynflow', ...usable.map((feature) => feature.name)].sort();
}

function details(gateway: GatewayApi): Record<string, unknown> {
  const entry = (state: string, capabilities: string[], settings: object): object => ({
    http_enabled: true,
    https_enabled: true,
    settings,
    state,
    capabilities: [...capabilities].sort(),
  });
  const operations = launchableOperations(gateway).filter((operation) => operation.availability !== 'broken');
  const dynflow = entry('running', [SINGLE, ...operations.map((operation) => operation.name)], {});
  const features = gateway.features().map((feature): [string, object] => {
    const settings = feature.reason === null ? feature.settings : { ...feature.settings, reason: feature.reason };
    return [feature.name, entry(isUsable(feature) ? 'running' : 'failed', feature.capabilities, settings)];
  });
  return { dynflow, ...Object.fromEntries(features) };
}

function versions(gateway: GatewayApi): Record<string, unknown> {
  const modules = gateway
    .features()
    .filter(isUsable)
    .map((feature) => [feature.name, feature.pluginVersion]);
  return { version: gateway.version, modules: { dynflow: gateway.version, ...Object.fromEntries(modules) } };
}
