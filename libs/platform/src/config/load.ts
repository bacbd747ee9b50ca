import { messageOf } from '@dynflow/kernel';
import { executorConfig, gatewayConfig, type ExecutorConfig, type GatewayConfig } from './config.js';
import { entriesOf, type ConfigEntry } from './entries.js';
import { ConfigError, type ConfigFault } from './faults.js';
import { environmentText, gatherSettings, type Environment } from './gather.js';
import type { ConfigurablePlugin } from './plugin-settings.js';
import { checkRules } from './rules.js';
import { readSection, type ReadSection } from './sections.js';
import { keyOf, settingNames, type Program, type SettingValues } from './settings.js';
import { findUnknown } from './unknown.js';
import { readFromDisk, readYamlFile, type ReadFile } from './yaml-file.js';

/** A plugin and its settings, which its own schema has read. */
export interface PluginWithSettings<Plugin> {
  plugin: Plugin;
  settings: unknown;
}

export interface LoadedConfig<Config, Plugin> {
  config: Config;
  /** In the order in which they were named. */
  plugins: readonly PluginWithSettings<Plugin>[];
  /** Every setting with its value and where that comes from, secrets hidden: what `printConfig` prints. */
  entries: readonly ConfigEntry[];
  /** What the operator should know though it is no fault, to be logged at start as warnings. */
  notes: readonly string[];
}

export interface GatewayConfigSource<Plugin> {
  /** The process's own unless given. */
  env?: Environment;
  readFile?: ReadFile;
  /** Gets a plugin by its package name; what it throws becomes a fault of `DYNFLOW_PLUGINS`. */
  loadPlugin: (name: string) => Promise<Plugin>;
}

export interface ExecutorConfigSource<Plugin> {
  /** The process's own unless given. */
  env?: Environment;
  readFile?: ReadFile;
  plugin: Plugin;
}

/**
 * Reads and checks the gateway's whole configuration: environment, file, files that it names, and the sections of its plugins.
 *
 * @throws ConfigError with every fault that was found.
 */
export async function loadGatewayConfig<Plugin extends ConfigurablePlugin>(
  source: GatewayConfigSource<Plugin>,
): Promise<LoadedConfig<GatewayConfig, Plugin>> {
  const load = async (names: readonly string[]): Promise<LoadedPlugins<Plugin>> => {
    const loaded = await Promise.all(names.map((name) => loadOne(name, source.loadPlugin)));
    return { plugins: loaded.flatMap((one) => one.plugins), faults: loaded.flatMap((one) => one.faults) };
  };
  const { values, ...rest } = await read('gateway', source.env, source.readFile, load);
  return { config: gatewayConfig(values), ...rest };
}

/**
 * Reads and checks the configuration of an executor's process, which hosts one plugin. Settings that only a gateway has are
 * accepted and left unused, so that both may share an environment.
 *
 * @throws ConfigError with every fault that was found.
 */
export async function loadExecutorConfig<Plugin extends ConfigurablePlugin>(
  source: ExecutorConfigSource<Plugin>,
): Promise<LoadedConfig<ExecutorConfig, Plugin>> {
  const load = (): Promise<LoadedPlugins<Plugin>> => Promise.resolve({ plugins: [source.plugin], faults: [] });
  const { values, ...rest } = await read('executor', source.env, source.readFile, load);
  // The rules refuse an executor without it.
  return { config: executorConfig(values, values.natsUrl ?? ''), ...rest };
}

interface LoadedPlugins<Plugin> {
  plugins: Plugin[];
  faults: ConfigFault[];
}

type ReadConfig<Plugin> = Omit<LoadedConfig<never, Plugin>, 'config'> & { values: SettingValues };

async function read<Plugin extends ConfigurablePlugin>(
  program: Program,
  env: Environment = process.env,
  readFile: ReadFile = readFromDisk,
  loadPlugins: (names: readonly string[]) => Promise<LoadedPlugins<Plugin>>,
): Promise<ReadConfig<Plugin>> {
  const path = environmentText(env, 'DYNFLOW_CONFIG', false);
  const file = path === undefined ? { values: new Map<string, unknown>(), faults: [] } : readYamlFile(path, readFile);
  const gathered = gatherSettings(env, file.values);
  const loaded = await loadPlugins(gathered.values.plugins ?? []);
  const sections: ReadSection[] = [];
  for (const plugin of loaded.plugins) {
    sections.push(await readSection(plugin, env, file.values, gathered.written));
  }
  const declared = sections.map(({ section }) => section);
  // What a plugin that could not be loaded would have known is not called unknown: that would be a second fault for one mistake.
  const unknown = loaded.faults.length > 0 ? { faults: [], notes: [] } : findUnknown(env, file.values, declared);
  const rules = checkRules(program, gathered.values, gathered.written);
  const faults = [
    ...file.faults.map((expected) => ({
      variable: 'DYNFLOW_CONFIG',
      fileKey: null,
      source: 'environment' as const,
      expected,
      got: path ?? null,
    })),
    ...gathered.faults,
    ...rules.faults,
    ...loaded.faults,
    ...clashes(sections),
    // A value that a plugin shares with the service is read twice, but wrong once.
    ...sections
      .flatMap((section) => section.faults)
      .filter(({ variable }) => !gathered.faults.some((fault) => variable !== null && fault.variable === variable)),
    ...unknown.faults,
  ];
  if (faults.length > 0) {
    throw new ConfigError(faults);
  }
  return {
    // Without a fault, null stands only where the declaration allows it.
    values: gathered.values as SettingValues,
    plugins: loaded.plugins.map((plugin, index) => ({ plugin, settings: sections[index]?.settings })),
    entries: entriesOf(program, gathered, sections),
    notes: [...rules.notes, ...unknown.notes],
  };
}

async function loadOne<Plugin>(name: string, load: (name: string) => Promise<Plugin>): Promise<LoadedPlugins<Plugin>> {
  try {
    return { plugins: [await load(name)], faults: [] };
  } catch (error) {
    const expected = `names a plugin that cannot be loaded: ${messageOf(error)}`;
    return { plugins: [], faults: [{ variable: 'DYNFLOW_PLUGINS', fileKey: 'plugins', source: null, expected, got: name }] };
  }
}

/** Two plugins with one section, or a section with the name of a setting, would read each other's values. */
function clashes(sections: readonly ReadSection[]): ConfigFault[] {
  const fault = (plugin: string, expected: string): ConfigFault => ({
    variable: 'DYNFLOW_PLUGINS',
    fileKey: 'plugins',
    source: null,
    expected,
    got: plugin,
  });
  return sections.flatMap(({ section: { plugin, section } }, index) => {
    const earlier = sections.slice(0, index).find((other) => other.section.section === section);
    if (earlier !== undefined) {
      return [fault(plugin, `names two plugins with the section "${section}": ${earlier.section.plugin} and ${plugin}`)];
    }
    const isTaken = !/^[a-z][a-z0-9_]*$/.test(section) || settingNames.some((name) => keyOf(name) === section);
    return isTaken ? [fault(plugin, `names a plugin whose section "${section}" is not a free name in snake case`)] : [];
  });
}
