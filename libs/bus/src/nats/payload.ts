import { DynflowError } from '@dynflow/kernel';

/** A message does not fit into one message of the NATS server (`max_payload`, 1 MiB by default). Only answers are carried in parts. */
export class MessageTooLargeError extends DynflowError {
  constructor(subject: string, bytes: number, maxBytes: number) {
    super('DYN_BUS_MESSAGE_TOO_LARGE', `a message of ${bytes} bytes on ${subject} is larger than the NATS server takes (${maxBytes})`, {
      context: { subject, bytes, maxBytes },
    });
  }
}

/** A message as it goes over the wire: JSON in UTF-8, never empty (an empty message on a stray reply subject is an order to the server). */
export function encodeMessage(message: unknown): Buffer {
  return Buffer.from((JSON.stringify(message) as string | undefined) ?? 'null', 'utf8');
}

/** @throws SyntaxError when it is not JSON. */
export function decodeMessage(data: Uint8Array): unknown {
  return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'));
}
