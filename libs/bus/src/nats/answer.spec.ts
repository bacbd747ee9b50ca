import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { AnswerAssembler, sendAnswer, sendFailure, type Answer } from './answer.js';

interface Sent {
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs;
}

const MAX_PAYLOAD = 1_048_576;

function recorder(): { sent: Sent[]; publish(subject: string, data: Uint8Array, options?: { headers: MsgHdrs }): void } {
  const sent: Sent[] = [];
  return { sent, publish: (_, data, options) => void sent.push({ data, ...options }) };
}

function assemble(messages: readonly Sent[]): Answer | undefined {
  const assembler = new AnswerAssembler();
  return messages.map((message) => assembler.add(message)).find((answer) => answer !== undefined);
}

function partsOf(value: unknown): Sent[] {
  const publisher = recorder();
  sendAnswer(publisher, '_I.gateway.x', value, MAX_PAYLOAD);
  return publisher.sent;
}

function part(header: string, text: string): Sent {
  const block = headers();
  block.set('Part', header);
  return { data: Buffer.from(text), headers: block };
}

describe('answers in parts', () => {
  it('sends a small answer as one plain message', () => {
    const sent = partsOf({ ok: true });
    expect(sent).toHaveLength(1);
    expect(sent[0]?.headers).toBeUndefined();
    expect(assemble(sent)).toEqual({ kind: 'value', value: { ok: true } });
  });

  it('cuts above 512 KiB, numbers the parts, and sends no empty message', () => {
    const sent = partsOf('x'.repeat(2 * 512 * 1024 - 2));
    expect(sent.map(({ data, headers: header }) => [data.length, header?.get('Part')])).toEqual([
      [512 * 1024, '1/2'],
      [512 * 1024, '2/2'],
    ]);
    expect(partsOf('x'.repeat(512 * 1024 - 2))).toHaveLength(1);
    expect(partsOf(undefined).map(({ data }) => data.length)).toEqual([4]);
  });

  it('keeps each message below what the server takes, headers included', () => {
    const publisher = recorder();
    sendAnswer(publisher, '_I.gateway.x', 'ä'.repeat(5_000), 1_024);
    expect(publisher.sent.every(({ data, headers: header }) => data.length + (header?.toString().length ?? 0) <= 1_024)).toBe(true);
    expect(assemble(publisher.sent)).toEqual({ kind: 'value', value: 'ä'.repeat(5_000) });
  });

  it('reports an answer that has too many parts as a failure', () => {
    const publisher = recorder();
    sendAnswer(publisher, '_I.gateway.x', 'x'.repeat(300 * 1_024), 1_024);
    expect(assemble(publisher.sent)).toEqual({ kind: 'failure', message: 'the answer is too large: 307202 bytes' });
  });

  it('carries a failure as its message, shortened', () => {
    const publisher = recorder();
    sendFailure(publisher, '_I.gateway.x', new Error('no such plan'));
    sendFailure(publisher, '_I.gateway.x', new Error('y'.repeat(100_000)));
    expect(assemble(publisher.sent.slice(0, 1))).toEqual({ kind: 'failure', message: 'no such plan' });
    expect(publisher.sent[1]?.data.length).toBeLessThan(10_000);
  });

  it.each<[string, readonly Sent[]]>([
    ['a part is missing', [part('1/3', '"a'), part('3/3', 'b"')]],
    ['a part comes twice', [part('1/3', '"a'), part('1/3', '"a')]],
    ['the count changes', [part('1/3', '"a'), part('2/2', 'b"')]],
    ['the first part is not the first', [part('2/2', 'b"')]],
    ['the count is absurd', [part('1/1000000', '"a')]],
    ['the count is not a number', [part('1/x', '"a')]],
    ['there is no count', [part('1', '"a"')]],
    ['a whole message follows a part', [part('1/2', '"a'), { data: Buffer.from('"b"') }]],
    ['it is not JSON', [{ data: Buffer.from('{') }]],
    ['it is empty', [{ data: Buffer.alloc(0) }]],
  ])('reports a broken answer: %s', (_, messages) => {
    expect(assemble(messages)).toMatchObject({ kind: 'failure', message: expect.stringMatching(/^the answer is broken/) as string });
  });

  it('waits for the parts that are still to come', () => {
    expect(assemble([part('1/3', '"a'), part('2/3', 'b')])).toBeUndefined();
  });
});
