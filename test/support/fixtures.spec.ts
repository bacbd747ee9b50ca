import { describe, expect, it } from 'vitest';
import { expectAnswer, expectationOf, fillIn, fixtureNames, loadCallback, loadExchange } from './fixtures.js';
import { differencesFrom } from './match-shape.js';
import type { Shape } from './match-shape.js';

/** A value for every variable that the fixtures may use. */
const variables = {
  child: '11111111-aaaa-4aaa-8aaa-000000000001',
  child0: '11111111-aaaa-4aaa-8aaa-000000000002',
  child1: '11111111-aaaa-4aaa-8aaa-000000000003',
  child2: '11111111-aaaa-4aaa-8aaa-000000000004',
  parent: '11111111-aaaa-4aaa-8aaa-000000000005',
  unknown: '11111111-aaaa-4aaa-8aaa-000000000006',
  task: '22222222-bbbb-4bbb-8bbb-000000000001',
  task0: '22222222-bbbb-4bbb-8bbb-000000000002',
  task1: '22222222-bbbb-4bbb-8bbb-000000000003',
  task2: '22222222-bbbb-4bbb-8bbb-000000000004',
  hostname: '127.0.0.1',
  port: 2222,
  closed_port: 2,
  ssh_user: 'root',
  effective_user: 'nobody',
  proxy_url: 'http://127.0.0.1:8008',
  noop_class: 'Noop',
  pause: 'sleep 1',
};

describe('exchanges', () => {
  it.each(fixtureNames('http'))('%s can be filled in, sent and compared', (name) => {
    const fixture = loadExchange(name);
    expect(fixture.name).toBe(name);
    expect(() => fillIn([fixture.request.path, fixture.request.body ?? null], variables)).not.toThrow();
    for (const { shape } of [fixture.expect, expectationOf(fixture, variables)]) {
      // A shape that fits nothing at all, or that has an unknown kind in it, must not pass for a shape.
      expect(shape === undefined || differencesFrom('neither', fillIn(shape, variables)).length > 0).toBe(true);
    }
    // No answer of ours is a server error, and where ours differs it says why.
    expect(expectationOf(fixture, variables).status).toBeLessThan(500);
    expect(fixture.improved?.why).not.toBe('');
  });
});

describe('callbacks', () => {
  it.each(fixtureNames('callbacks'))('%s has an example that fits its shape', (name) => {
    const fixture = loadCallback(name);
    const task = fixture.ingested[0]?.taskId ?? '';
    expect(fixture.name).toBe(name);
    expect(differencesFrom(fixture.request.body, fillIn(fixture.shape, { ...variables, task }))).toEqual([]);
  });
});

describe('fillIn', () => {
  it('fills keys, parts of strings and whole strings, which keep the variable’s type', () => {
    const part: Shape = { '{child}': ['/tasks/{child}/status', '{port}', 3, null] };
    expect(fillIn(part, { child: 'c', port: 22 })).toEqual({ c: ['/tasks/c/status', 22, 3, null] });
  });

  it('refuses a variable without a value', () => {
    expect(() => fillIn('x{child}', {})).toThrow('the fixture needs a value for {child}');
  });
});

describe('expectAnswer', () => {
  const answer = (status: number, body: Shape): Parameters<typeof expectAnswer>[0] => ({
    status,
    headers: {},
    text: JSON.stringify(body),
    body: body as never,
  });

  it('accepts what fits the improved answer, not the original one', () => {
    const fixture = loadExchange('cancel-unknown-id');
    expect(() => expectAnswer(answer(404, { error: 'no such plan' }), fixture)).not.toThrow();
    expect(() => expectAnswer(answer(500, { error: 'x' }), fixture)).toThrow('cancel-unknown-id:\n  status: expected 404, got 500');
  });

  it('reports a body of another shape', () => {
    const fixture = loadExchange('count-unknown-state');
    expect(() => expectAnswer(answer(200, { count: 1, state: 'bogus' }), fixture)).toThrow('$.count: expected 0, got 1');
  });
});
