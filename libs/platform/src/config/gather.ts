import { hostname } from 'node:os';
import { shown, type ConfigFault } from './faults.js';
import { withoutAnythingSecret } from './redact.js';
import { keyOf, settingNames, settings, variableOf, type Setting, type SettingName, type ReadValues } from './settings.js';
import { plain } from './yaml-file.js';

/** A process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;
export type ValueSource = 'default' | 'file' | 'environment';

/** A value as it was written, and by whom. */
export interface Written {
  value: unknown;
  source: ValueSource;
  /** Set when the value was written for another setting, which this one falls back to. */
  from?: SettingName;
}

export interface Gathered {
  written: ReadonlyMap<SettingName, Written>;
  values: ReadValues;
  faults: ConfigFault[];
}

/** Finds each setting's value – environment before file before default – and reads it; what cannot be read is a fault and null. */
export function gatherSettings(env: Environment, file: ReadonlyMap<string, unknown>): Gathered {
  const written = new Map<SettingName, Written>();
  for (const name of settingNames) {
    const found = writtenFor(name, env, file);
    if (found !== undefined) {
      written.set(name, found);
    }
  }
  fallBackToServerTls(written);
  if (!written.has('executorId')) {
    written.set('executorId', {
      value:
        hostname()
          .replaceAll(/[^A-Za-z0-9_-]/g, '-')
          .slice(0, 100) || 'executor',
      source: 'default',
    });
  }
  if (!written.has('plugins')) {
    const inFatShape = ['dynflow_foreman_tasks', 'dynflow_foreman_remote_execution'];
    written.set('plugins', { value: written.has('natsUrl') ? ['dynflow_foreman_tasks'] : inFatShape, source: 'default' });
  }
  const faults: ConfigFault[] = [];
  const values = Object.fromEntries(
    settingNames.map((name) => {
      const found = written.get(name);
      const parsed = found === undefined ? undefined : settings[name].kind.schema.safeParse(found.value);
      if (found !== undefined && parsed?.success === false) {
        faults.push(unreadable(name, found));
      }
      return [name, parsed?.data ?? null];
    }),
    // Each value was read by the schema of its own name.
  ) as ReadValues;
  return { written, values, faults };
}

/** The text that an environment has for a variable. An empty one counts as absent, except for lists, where it is the empty list. */
export function environmentText(env: Environment, variable: string, isList: boolean): string | undefined {
  const text = env[variable];
  return text === undefined || (text.trim() === '' && !isList) ? undefined : text;
}

function writtenFor(name: SettingName, env: Environment, file: ReadonlyMap<string, unknown>): Written | undefined {
  const setting: Setting<unknown> = settings[name];
  const text = environmentText(env, variableOf(name), setting.kind.isList === true);
  if (text !== undefined) {
    return { value: text, source: 'environment' };
  }
  const inFile =
    setting.isInFile === false ? null : (file.get(keyOf(name)) ?? (setting.isShared === true ? inSection(file, keyOf(name)) : null));
  if (inFile !== null) {
    return { value: plain(inFile), source: 'file' };
  }
  return setting.default === null ? undefined : { value: setting.default, source: 'default' };
}

/** `foreman_url` as `url` in the section `foreman`, where the plugin that shares it has its settings. */
function inSection(file: ReadonlyMap<string, unknown>, key: string): unknown {
  const [section = '', ...rest] = key.split('_');
  const content = file.get(section);
  return content instanceof Map ? ((content.get(rest.join('_')) as unknown) ?? null) : null;
}

/** Certificate and key fall back as a pair: one's own certificate with the server's key could never work. */
function fallBackToServerTls(written: Map<SettingName, Written>): void {
  const fallBack = (name: SettingName, other: SettingName): void => {
    const found = written.get(other);
    if (found !== undefined) {
      written.set(name, { ...found, from: other });
    }
  };
  if (!written.has('foremanSslCert') && !written.has('foremanSslKey')) {
    fallBack('foremanSslCert', 'sslCert');
    fallBack('foremanSslKey', 'sslKey');
  }
  if (!written.has('foremanSslCa')) {
    fallBack('foremanSslCa', 'sslCa');
  }
}

function unreadable(name: SettingName, { value, source }: Written): ConfigFault {
  const setting: Setting<unknown> = settings[name];
  const isServiceLink = typeof value === 'string' && /^(tcp|udp):\/\/[\d.:[\]a-f]+$/.test(value);
  return {
    variable: variableOf(name),
    fileKey: setting.isInFile === false ? null : keyOf(name),
    source,
    expected: isServiceLink
      ? `expected ${setting.kind.expects}; Kubernetes sets this variable for a Service called "dynflow": give the Service another name or the pod enableServiceLinks: false`
      : `expected ${setting.kind.expects}`,
    got: setting.secret === undefined ? shown(value) : withoutAnythingSecret(shown(value)),
  };
}
