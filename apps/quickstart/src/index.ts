export { runQuickstart } from './quickstart.js';
export type { QuickstartOptions } from './quickstart.js';
