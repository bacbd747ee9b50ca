export { loadPlugin } from './load-plugin.js';
export { startGateway } from './start-gateway.js';
export type { GatewayOptions, RunningGateway } from './start-gateway.js';
