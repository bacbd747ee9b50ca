import { describe, expect, test } from 'vitest';
import { replay } from '../../support/fixtures.js';
import { expectCallback, expectStopped, launchStory, makeGate, patienceMs, storyVariables } from '../../support/story.js';
import type { Stack } from '../../support/stack.js';
import { hasLine } from '../../support/output.js';

/** A batch of three hosts, compared with what a smart proxy answers and sends: exit 0, exit 7, and a host that nobody can reach. */
export function threeHostsSuite(current: () => Stack): void {
  describe.concurrent.each(['', '/dynflow'] as const)('a batch of three hosts under the prefix "%s"', (prefix) => {
    test('looks like a smart proxy’s from the launch to the last callback', async () => {
      const stack = current();
      const client = stack.client(prefix);
      const gate = makeGate(stack);
      const variables = await launchStory(client, 'ssh-batch', storyVariables(stack, { pause: gate.wait }));
      const [first, second, third] = ['child0', 'child1', 'child2'].map((name) => String(variables[name]));
      const [task0, task1, task2] = ['task0', 'task1', 'task2'].map((name) => String(variables[name]));

      await client.waitForStatus(first ?? '', hasLine('host0'), { timeoutMs: patienceMs });
      await client.waitForStatus(second ?? '', hasLine('host1'), { timeoutMs: patienceMs });
      await replay(client, 'ssh-batch.child-running', variables);
      await replay(client, 'ssh-batch.states-running', variables);
      await replay(client, 'ssh-batch.count-running', variables);
      await gate.open();

      await expectCallback(stack, 'ssh-batch-exit-0', task0 ?? '');
      await expectCallback(stack, 'ssh-batch-exit-7', task1 ?? '');
      await expectCallback(stack, 'ssh-refused', task2 ?? '');
      expect([task0, task1, task2].map((task) => stack.foreman.resultOf(task ?? ''))).toEqual(['success', 'failure', 'failure']);

      await expectStopped(client, 'ssh-batch.child-exit-0', variables, first);
      await expectStopped(client, 'ssh-batch.child-exit-7', variables, second);
      await expectStopped(client, 'ssh-batch.child-unreachable', variables, third);
      await expectStopped(client, 'ssh-batch.parent-stopped', variables, String(variables['parent']));
      await replay(client, 'ssh-batch.states-stopped', variables);
      await replay(client, 'statuses-known-and-unknown', { ...variables, child: first ?? '' });
    });
  });
}
