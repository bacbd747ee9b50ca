import { describe } from 'vitest';
import { useStack } from '../support/use-stack.js';
import { manyJobsSuite } from './suites/many-jobs.js';

describe('fat, plans in memory', () => {
  manyJobsSuite(useStack({ shape: 'fat', database: 'memory' }));
});
