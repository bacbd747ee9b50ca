import { afterAll, afterEach, beforeAll } from 'vitest';
import { startStack } from './stack.js';
import type { Stack, StackOptions } from './stack.js';

/** One stack for all tests of a `describe`; every test fails in which one of its processes crashed or logged a stack trace. */
export function useStack(options: StackOptions): () => Stack {
  let stack: Stack | undefined;
  const current = (): Stack => {
    if (stack === undefined) {
      throw new Error('the stack is there from beforeAll to afterAll');
    }
    return stack;
  };
  beforeAll(async () => {
    stack = await startStack(options);
  });
  afterEach(() => current().expectSound());
  afterAll(() => stack?.stop());
  return current;
}
