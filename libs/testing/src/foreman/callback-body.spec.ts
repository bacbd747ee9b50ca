import { describe, expect, it } from 'vitest';
import { parseCallback } from './callback-body.js';

const entry = { callback: { task_id: 'a', step_id: 3 }, data: { result: [] } };

describe('parseCallback', () => {
  it('reads a single callback', () => {
    expect(parseCallback(entry)).toEqual({ kind: 'entries', isBatch: false, entries: [{ taskId: 'a', stepId: 3, data: { result: [] } }] });
  });

  it('reads a batch in its order', () => {
    const other = { callback: { task_id: 'b', step_id: 4 }, data: {} };
    expect(parseCallback({ callbacks: [other, entry] })).toEqual({
      kind: 'entries',
      isBatch: true,
      entries: [
        { taskId: 'b', stepId: 4, data: {} },
        { taskId: 'a', stepId: 3, data: { result: [] } },
      ],
    });
  });

  it.each([
    ['no JSON', undefined, 400, 'the body is not a JSON object'],
    ['an array', [], 400, 'the body is not a JSON object'],
    ['callbacks that are no array', { callbacks: {} }, 400, 'callbacks: expected an array'],
    ['no callback', { data: {} }, 500, 'callback: expected an object'],
    ['no task id', { callback: { step_id: 3 }, data: {} }, 500, 'callback.task_id: expected a non-empty string'],
    ['a step id as text', { callback: { task_id: 'a', step_id: '3' }, data: {} }, 500, 'callback.step_id: expected an integer'],
    ['no data', { callback: { task_id: 'a', step_id: 3 }, data: null }, 500, 'data: expected an object'],
    ['a bad entry in a batch', { callbacks: [entry, { ...entry, data: null }] }, 500, 'callbacks[1].data: expected an object'],
  ])('refuses %s', (_, body, status, reason) => {
    expect(parseCallback(body)).toEqual({ kind: 'refused', status, reason });
  });
});
