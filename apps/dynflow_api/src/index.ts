export { startCore } from './gateway-core.js';
export type { GatewayCore, GatewayOptions } from './gateway-core.js';
export { loadPlugin } from './load-plugin.js';
export { startGateway } from './start-gateway.js';
export type { RunningGateway } from './start-gateway.js';
