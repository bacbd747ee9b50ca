import { messageOf } from '@dynflow/kernel';
import type { Delivery } from '../message-bus.js';
import type { NatsLink } from './nats-link.js';

/** A message of a work queue as it came from the server, its acknowledgements not yet sent. */
export interface RawDelivery {
  readonly subject: string;
  /** Where acknowledgements go; names the stream, the consumer and the message. */
  readonly ackSubject: string;
  readonly data: Uint8Array;
}

const ACK_PREFIX = '$JS.ACK.';
const NANOS_PER_MS = 1_000_000;

/** True for a message that the server delivered from a queue; its own notices and stray messages have no such reply subject. */
export function isDelivery(reply: string | undefined): reply is string {
  return reply !== undefined && reply.startsWith(ACK_PREFIX);
}

/**
 * How often the message was delivered, from its acknowledgement subject:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.…` (9 tokens), with a domain and an account hash before the stream where servers use them.
 */
export function deliveriesOf(ackSubject: string): number {
  const tokens = ackSubject.split('.');
  const deliveries = Number(tokens[tokens.length > 9 ? 6 : 4]);
  return Number.isSafeInteger(deliveries) && deliveries >= 1 ? deliveries : 1;
}

/** Gives a message back at once, for any reader. */
export function giveBack(link: NatsLink, ackSubject: string): void {
  settle(link, ackSubject, '-NAK');
}

/** Removes a message that nobody can make sense of. */
export function terminate(link: NatsLink, ackSubject: string, reason: string): void {
  // One line, and not a long one: the server repeats it in an advisory.
  settle(link, ackSubject, `+TERM ${reason.replaceAll(/\s+/g, ' ').slice(0, 200)}`);
}

/** The delivery for the caller; only the first of its three endings counts. */
export function deliveryOf(link: NatsLink, raw: RawDelivery, message: unknown): Delivery {
  let isSettled = false;
  const once = (action: () => void): void => {
    if (!isSettled) {
      isSettled = true;
      action();
    }
  };
  return {
    subject: raw.subject,
    message,
    deliveries: deliveriesOf(raw.ackSubject),
    ack: () => once(() => settle(link, raw.ackSubject, '+ACK')),
    retry: (delayMs) =>
      once(() => {
        const delay = Math.round(delayMs * NANOS_PER_MS);
        settle(link, raw.ackSubject, delay > 0 ? `-NAK ${JSON.stringify({ delay })}` : '-NAK');
      }),
    discard: (reason) => once(() => terminate(link, raw.ackSubject, reason)),
  };
}

function settle(link: NatsLink, ackSubject: string, order: string): void {
  try {
    link.publish(ackSubject, Buffer.from(order));
  } catch (error) {
    // It stays unsettled and comes back after the queue's time, as a message does whose reader died.
    link.log.warn(`a message of a work queue could not be settled: ${messageOf(error)}`, { ackSubject });
  }
}
