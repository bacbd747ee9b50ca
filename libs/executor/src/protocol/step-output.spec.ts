import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StepOutput } from './step-output.js';

type Operation = { kind: 'add'; length: number } | { kind: 'send' } | { kind: 'lose' } | { kind: 'confirm'; share: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), length: fc.integer({ min: 1, max: 4_000 }) }),
  fc.constant({ kind: 'send' as const }),
  fc.constant({ kind: 'lose' as const }),
  fc.record({ kind: fc.constant('confirm' as const), share: fc.double({ min: 0, max: 1.2, noNaN: true }) }),
);

describe('the unconfirmed output of a step', () => {
  it('reaches an owner that drops what it has, whole and in order, whatever is lost, and never overfills the window', () => {
    const windowBytes = 10_000;
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), fc.integer({ min: 1, max: 50 }), (operations, firstSeq) => {
        const output = new StepOutput(firstSeq, windowBytes);
        let written = '';
        let stored = '';
        let storedSeq = firstSeq - 1;
        let confirmedSeq = firstSeq - 1;
        let underWay: { seq: number; bytes: number }[] = [];
        const send = (): void => {
          for (const { chunk, bytes } of output.takeUnsent(0)) {
            underWay.push({ seq: chunk.seq, bytes });
            if (chunk.seq === storedSeq + 1) {
              stored += chunk.text;
              storedSeq = chunk.seq;
            }
          }
          const bytes = underWay.filter(({ seq }) => seq > confirmedSeq).reduce((sum, one) => sum + one.bytes, 0);
          expect(underWay.length <= 1 || bytes <= windowBytes).toBe(true);
        };
        const confirm = (seq: number): void => {
          output.confirm(seq, 0);
          confirmedSeq = Math.max(confirmedSeq, seq);
          underWay = underWay.filter((one) => one.seq > confirmedSeq);
        };
        for (const one of operations) {
          if (one.kind === 'add') {
            const text = String.fromCharCode(97 + (written.length % 26)).repeat(one.length);
            output.add('stdout', text, 0, undefined);
            written += text;
          } else if (one.kind === 'send') {
            send();
          } else if (one.kind === 'lose') {
            output.rewind();
            underWay = [];
          } else {
            // Old, doubled and right confirmations; never one of what was not stored.
            confirm(Math.min(Math.floor(firstSeq + (storedSeq - firstSeq + 1) * one.share), storedSeq));
          }
        }
        for (let round = 0; output.totalBytes > 0 && round < 1_000; round += 1) {
          output.rewind();
          underWay = [];
          send();
          confirm(storedSeq);
        }
        expect(output.totalBytes).toBe(0);
        expect(output.unsentBytes).toBe(0);
        expect(stored).toBe(written);
      }),
    );
  });

  it('lets those who wait for room go on when there is some, each at its own measure', async () => {
    const output = new StepOutput(1, 1_000);
    expect(output.room(0)).toBeUndefined();
    for (let index = 0; index < 4; index += 1) {
      output.add('stdout', 'x'.repeat(400), 0, undefined);
    }
    const order: string[] = [];
    const all = [1_500, 600].map(async (bytes) => output.room(bytes)?.then(() => order.push(`below ${bytes}`)));
    output.confirm(1, 0);
    output.confirm(2, 0);
    await Promise.resolve();
    expect(order).toEqual(['below 1500']);
    output.confirm(4, 0);
    await Promise.all(all);
    expect(order).toEqual(['below 1500', 'below 600']);
  });
});
