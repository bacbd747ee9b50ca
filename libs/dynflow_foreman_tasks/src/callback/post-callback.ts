import { DynflowError, isJsonObject } from '@dynflow/kernel';
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
  const { ownTls } = context;
  const tls = {
    cert: settings.ssl_cert ?? ownTls.cert,
    key: settings.ssl_key ?? ownTls.key,
    ca: settings.ssl_ca ?? ownTls.ca,
  };
  const client = createForemanClient({ url, ...(url.startsWith('https:') ? { tls } : {}) });
  return async (payload) => {
    const { status } = await client.postCallback(callbackBody(payload));
    const taskId = isJsonObject(payload) && isJsonObject(payload['callback'] ?? null) ? JSON.stringify(payload['callback']) : '';
    context.log.debug('Foreman has taken a callback', { callback: taskId });
    return { status };
  };
}
