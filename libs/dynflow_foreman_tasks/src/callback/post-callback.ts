import { DynflowError, isJsonObject, messageOf } from '@dynflow/kernel';
import type { Effect, EffectContext } from '@dynflow/plugin';
import { createForemanClient } from '../callback-client/foreman-client.js';
import type { ForemanSettings } from '../settings.js';
import { callbackBody } from './callback.js';

/** Thrown for a callback when nobody has said where Foreman is: the plan waits, and says so, until the service knows. */
export class NoForemanError extends DynflowError {
  constructor() {
    super('DYN_NO_FOREMAN', 'DYNFLOW_FOREMAN_URL is not set, so results cannot be delivered', { retryable: true });
  }
}

/** The effect that delivers one callback, over connections that are kept for the next. */
export function postCallback(settings: ForemanSettings, context: EffectContext): Effect {
  const { url } = settings;
  if (url === undefined || url === null) {
    return () => Promise.reject(new NoForemanError());
  }
  const { ownTls, log, stopped } = context;
  const hasOwn = settings.ssl_cert === undefined || settings.ssl_cert === null;
  const { cert, key } = hasOwn ? ownTls : { cert: settings.ssl_cert ?? null, key: settings.ssl_key ?? null };
  const client = createForemanClient({ url, tls: { cert, key, ca: settings.ssl_ca ?? ownTls.ca } });
  stopped.addEventListener('abort', () => {
    void client
      .close()
      .catch((error: unknown) => log.debug('the connections to Foreman did not close as they should', { reason: messageOf(error) }));
  });
  return async (payload) => {
    const { status } = await client.postCallback(callbackBody(payload));
    log.debug('Foreman has taken a callback', { callback: isJsonObject(payload) ? JSON.stringify(payload['callback']) : '' });
    return { status };
  };
}
