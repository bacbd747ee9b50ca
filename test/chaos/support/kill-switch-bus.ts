import { SUBJECT_PREFIX } from '@dynflow/contracts';
import type { MessageBus, MessageHandler } from '@dynflow/bus';

/** Where an executor kills itself, as nothing else could tell it to at just that moment. */
export type KillPoint = 'before-claim' | 'after-claim' | 'after-outcome' | 'before-applied';

/** A bus that kills its process at a point of the protocol, the first time that it is reached. */
export function killSwitchBus(bus: MessageBus, at: KillPoint): MessageBus {
  const kind = (subject: string): string => subject.slice(SUBJECT_PREFIX.length + 1).split('.')[0] ?? '';
  const die = (): never => {
    process.kill(process.pid, 'SIGKILL');
    throw new Error('killed');
  };
  return new Proxy(bus, {
    get(target, name): unknown {
      if (name === 'request') {
        return async (subject: string, message: unknown, options: { timeoutMs: number }): Promise<unknown> => {
          const isClaim = kind(subject) === 'claim';
          if (isClaim && at === 'before-claim') {
            die();
          }
          const answer = await target.request(subject, message, options);
          return isClaim && at === 'after-claim' ? die() : answer;
        };
      }
      if (name === 'enqueue') {
        return async (subject: string, message: unknown): Promise<void> => {
          await target.enqueue(subject, message);
          if (at === 'after-outcome') {
            die();
          }
        };
      }
      if (name === 'subscribe') {
        return (subject: string, handler: MessageHandler, options?: { queue?: string }) =>
          target.subscribe(
            subject,
            (message, meta) => {
              const isApplied = typeof message === 'object' && message !== null && 'type' in message && message.type === 'applied';
              return isApplied && at === 'before-applied' ? die() : handler(message, meta);
            },
            options,
          );
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...parameters: unknown[]) => unknown).bind(target) : value;
    },
  });
}
