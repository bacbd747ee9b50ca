export { InProcessBus } from './in-process-bus.js';
export { BusUnavailableError, NoResponderError, RemoteError, RequestTimeoutError, workQueues } from './message-bus.js';
export type { BusSubscription, Delivery, MessageBus, MessageHandler, WorkQueue, WorkQueueReader } from './message-bus.js';
export { subjectMatches } from './subject-match.js';
