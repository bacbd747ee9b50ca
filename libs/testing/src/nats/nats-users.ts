import { natsAuthorization } from '@dynflow/bus';

/**
 * An authorization block with the least rights that the gateway and executors of the given plugins need, for tests: user and password
 * are both the plugin's name, or `gateway`.
 */
export function natsUsers(plugins: readonly string[]): string {
  return natsAuthorization(['gateway', ...plugins].map((name) => ({ name, login: { password: name } })));
}
