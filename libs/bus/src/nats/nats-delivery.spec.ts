import { describe, expect, it } from 'vitest';
import { deliveriesOf, isDelivery } from './nats-delivery.js';

describe('acknowledgement subjects', () => {
  it.each([
    ['$JS.ACK.STEPS_ssh.default.3.10.12.1700000000000000000.0', 3],
    ['$JS.ACK.hub.ACCHASH.STEPS_ssh.default.4.10.12.1700000000000000000.0', 4],
    ['$JS.ACK._.ACCHASH.STEPS_ssh.default.5.10.12.1700000000000000000.0.random', 5],
    ['$JS.ACK.odd', 1],
  ])('tell the number of deliveries: %s', (ackSubject, deliveries) => {
    expect(deliveriesOf(ackSubject)).toBe(deliveries);
  });

  it('tell a delivery from the notices of the server', () => {
    expect(isDelivery('$JS.ACK.INBOX.shard-1.1.1.1.1.0')).toBe(true);
    expect(isDelivery(undefined)).toBe(false);
    expect(isDelivery('')).toBe(false);
    expect(isDelivery('_I.ssh.abc')).toBe(false);
  });
});
