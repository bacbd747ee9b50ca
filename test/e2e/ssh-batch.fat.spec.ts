import { describe } from 'vitest';
import { useStack } from '../support/use-stack.js';
import { oneHostSuite } from './suites/one-host.js';
import { stoppingSuite } from './suites/stopping.js';
import { threeHostsSuite } from './suites/three-hosts.js';

describe('fat, plans in memory', () => {
  const stack = useStack({ shape: 'fat', database: 'memory' });
  threeHostsSuite(stack);
  oneHostSuite(stack);
  stoppingSuite(stack);
});

describe('fat, plans in a file', () => {
  const stack = useStack({ shape: 'fat', database: 'file' });
  threeHostsSuite(stack);
});
