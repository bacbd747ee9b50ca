import { describe } from 'vitest';
import { useStack } from '../support/use-stack.js';
import { oneHostSuite } from './suites/one-host.js';
import { stoppingSuite } from './suites/stopping.js';
import { threeHostsSuite } from './suites/three-hosts.js';

describe('thin: the executor in a process of its own, over NATS', () => {
  const stack = useStack({ shape: 'thin', database: 'file' });
  threeHostsSuite(stack);
  oneHostSuite(stack);
  stoppingSuite(stack);
});
