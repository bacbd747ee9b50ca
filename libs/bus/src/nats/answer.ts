import { headers } from '@nats-io/transport-node';
import { messageOf } from '@dynflow/kernel';
import { decodeMessage, encodeMessage } from './payload.js';

/** Answers above this many bytes are sent in parts of this size. */
const PART_BYTES = 512 * 1024;
/** 128 MiB: more parts than any honest answer has, few enough to hold in memory. */
const MAX_PARTS = 256;
const MAX_ERROR_LENGTH = 8_192;

/** Says which part of how many a message is: `Part: 2/7`. Absent when the answer is one message. */
const PART_HEADER = 'Part';
/** Present when the answerer failed; the body is `{"message": …}`. */
const ERROR_HEADER = 'Error';

interface Publisher {
  publish(subject: string, payload: Uint8Array, options?: { headers: ReturnType<typeof headers> }): void;
}

/** Sends an answer, in parts where it is large. `maxPayload` is the server's limit for headers and body together. */
export function sendAnswer(publisher: Publisher, reply: string, value: unknown, maxPayload: number): void {
  const payload = encodeMessage(value);
  // Room for the header block, on servers with a small limit too.
  const partBytes = Math.max(1, Math.min(PART_BYTES, maxPayload - 128));
  if (payload.length <= partBytes) {
    publisher.publish(reply, payload);
    return;
  }
  const count = Math.ceil(payload.length / partBytes);
  if (count > MAX_PARTS) {
    sendFailure(publisher, reply, new Error(`the answer is too large: ${payload.length} bytes`));
    return;
  }
  for (let index = 0; index < count; index += 1) {
    const header = headers();
    header.set(PART_HEADER, `${index + 1}/${count}`);
    publisher.publish(reply, payload.subarray(index * partBytes, (index + 1) * partBytes), { headers: header });
  }
}

/** Tells the asker that the handler threw. Only its message travels. */
export function sendFailure(publisher: Publisher, reply: string, error: unknown): void {
  const header = headers();
  header.set(ERROR_HEADER, 'true');
  publisher.publish(reply, encodeMessage({ message: messageOf(error).slice(0, MAX_ERROR_LENGTH) }), { headers: header });
}

export type Answer = { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'failure'; readonly message: string };

interface AnswerMessage {
  readonly data: Uint8Array;
  readonly headers?: { get(name: string): string };
}

/** Puts one answer together from its messages. Parts come in order from one sender; anything else is a broken answer. */
export class AnswerAssembler {
  #parts: Buffer[] = [];
  #count = 0;

  /** Returns the answer when it is whole. */
  add(message: AnswerMessage): Answer | undefined {
    const part = message.headers?.get(PART_HEADER) ?? '';
    if (part === '') {
      return this.#parts.length > 0 ? broken('a part is missing') : whole(message);
    }
    const [index, count] = part.split('/').map(Number);
    if (index !== this.#parts.length + 1 || !isPartCount(count) || (this.#count !== 0 && this.#count !== count) || index > count) {
      return broken(`part ${part.slice(0, 20)} came after ${this.#parts.length} of ${this.#count}`);
    }
    this.#count = count;
    this.#parts.push(Buffer.from(message.data));
    return this.#parts.length === count ? parse(Buffer.concat(this.#parts)) : undefined;
  }
}

function isPartCount(count: number | undefined): count is number {
  return count !== undefined && Number.isSafeInteger(count) && count >= 1 && count <= MAX_PARTS;
}

function whole(message: AnswerMessage): Answer {
  const answer = parse(message.data);
  if ((message.headers?.get(ERROR_HEADER) ?? '') === '' || answer.kind === 'failure') {
    return answer;
  }
  const { value } = answer;
  const text = typeof value === 'object' && value !== null && 'message' in value ? value.message : undefined;
  return { kind: 'failure', message: typeof text === 'string' ? text : 'the handler failed' };
}

function parse(data: Uint8Array): Answer {
  try {
    return { kind: 'value', value: decodeMessage(data) };
  } catch {
    return broken('it is not JSON');
  }
}

function broken(why: string): Answer {
  return { kind: 'failure', message: `the answer is broken: ${why}` };
}
