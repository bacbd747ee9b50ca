import { describe } from 'vitest';
import { useStack } from '../support/use-stack.js';
import { manyJobsSuite } from './suites/many-jobs.js';

describe('thin: the executor in a process of its own, over NATS', () => {
  manyJobsSuite(useStack({ shape: 'thin', database: 'file' }));
});
