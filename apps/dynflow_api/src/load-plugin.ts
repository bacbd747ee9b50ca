import { DynflowError, messageOf } from '@dynflow/kernel';
import type { Plugin } from '@dynflow/plugin';

/** Thrown for a name in `DYNFLOW_PLUGINS` behind which there is no plugin. */
export class PluginNotFoundError extends DynflowError {
  constructor(name: string, problem: string, cause?: unknown) {
    super('DYN_PLUGIN_NOT_FOUND', `there is no plugin "${name}": ${problem}`, { cause });
  }
}

/**
 * Loads a plugin by its package name. The gateway imports no plugin by itself: which ones there are is a setting.
 *
 * @throws PluginNotFoundError
 */
export async function loadPlugin(name: string): Promise<Plugin> {
  let module: unknown;
  try {
    module = await import(name);
  } catch (error) {
    const isMissing =
      error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`'${name}'`);
    throw new PluginNotFoundError(
      name,
      isMissing ? 'no package of that name is installed here' : `it cannot be loaded: ${messageOf(error)}`,
      error,
    );
  }
  const plugin = typeof module === 'object' && module !== null && 'plugin' in module ? module.plugin : undefined;
  if (typeof plugin !== 'object' || plugin === null || !('name' in plugin) || plugin.name !== name) {
    throw new PluginNotFoundError(name, 'the package exports no `plugin` of its own name');
  }
  return plugin as Plugin;
}
