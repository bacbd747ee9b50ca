// What tests need that kill the process which they test. An entry of its own: the processes that are killed should start fast.
export { Ledger } from './ledger.js';
export { PortRecorder, nameOfPoint } from './port-recorder.js';
export type { CallPoint } from './port-recorder.js';
