import type { z } from 'zod';
import { messageOf } from '@dynflow/kernel';
import { nearest, shown, type ConfigFault } from './faults.js';
import { environmentText, type Environment, type ValueSource, type Written } from './gather.js';
import { fromFile, fromText, sectionOf, type ConfigurablePlugin, type PluginSection, type PluginSetting } from './plugin-settings.js';
import { hidden, withoutUrlSecrets } from './redact.js';
import { keyOf, settingNames, settings, variableOf, type Setting, type SettingName } from './settings.js';
import { plain } from './yaml-file.js';

/** One value of a plugin's section, for `--print-config`. */
export interface SectionValue {
  setting: PluginSetting;
  value: unknown;
  source: ValueSource;
  from: SettingName | null;
}

export interface ReadSection {
  section: PluginSection;
  settings: unknown;
  values: SectionValue[];
  faults: ConfigFault[];
}

/** Reads a plugin's section from environment and file and has the plugin's own schema check it. */
export async function readSection(
  plugin: ConfigurablePlugin,
  env: Environment,
  file: ReadonlyMap<string, unknown>,
  core: ReadonlyMap<SettingName, Written>,
): Promise<ReadSection> {
  const section = sectionOf(plugin);
  const inFile = file.get(section.section) ?? new Map<string, unknown>();
  const faults: ConfigFault[] = [];
  if (!(inFile instanceof Map)) {
    const expected = `expected a mapping with the settings of the plugin ${plugin.name}`;
    faults.push({ variable: null, fileKey: section.section, source: 'file', expected, got: shown(plain(inFile)) });
  }
  const content: ReadonlyMap<string, unknown> = inFile instanceof Map ? inFile : new Map();
  const written = new Map<string, Written>();
  for (const setting of section.settings) {
    const found = writtenFor(setting, section.section, env, content, core);
    if (found !== undefined) {
      written.set(setting.name, found);
    }
  }
  faults.push(...unknownKeys(section, content, core));
  const input: Record<string, unknown> = {};
  for (const [key, value] of section.isOpen ? content : []) {
    input[key] = plain(value);
  }
  for (const [name, { value }] of written) {
    input[name] = value;
  }
  const parsed = await parse(plugin, input);
  faults.push(...(parsed.success ? [] : parsed.issues.map((issue) => faultOf(issue, section, written))));
  return { section, settings: parsed.success ? parsed.data : undefined, values: valuesOf(section, written, parsed), faults };
}

/** The setting of the service itself whose value a plugin's setting takes over, such as `url` in the section `foreman`. */
function sharedWith(section: string, setting: string): SettingName | undefined {
  return settingNames.find((name) => {
    const isShared = (settings[name] as Setting<unknown>).isShared === true;
    return isShared && (keyOf(name) === setting || keyOf(name) === `${section}_${setting}`);
  });
}

function writtenFor(
  setting: PluginSetting,
  section: string,
  env: Environment,
  content: ReadonlyMap<string, unknown>,
  core: ReadonlyMap<SettingName, Written>,
): Written | undefined {
  const shared = sharedWith(section, setting.name);
  const inherited = shared === undefined ? undefined : core.get(shared);
  if (shared !== undefined && variableOf(shared) === setting.variable) {
    // One variable, one value: what the service read, fallbacks included.
    return inherited === undefined ? undefined : { from: shared, ...inherited };
  }
  const text = environmentText(env, setting.variable, setting.types.has('array'));
  if (text !== undefined) {
    return { value: fromText(setting, text), source: 'environment' };
  }
  const value = content.get(setting.name) ?? null;
  if (value !== null) {
    return { value: fromFile(setting, plain(value)), source: 'file' };
  }
  return shared === undefined || inherited === undefined ? undefined : { from: shared, ...inherited };
}

function unknownKeys(
  section: PluginSection,
  content: ReadonlyMap<string, unknown>,
  core: ReadonlyMap<SettingName, Written>,
): ConfigFault[] {
  const known = section.settings.map(({ name }) => name);
  const misplaced = (key: string): boolean => core.has(settingNames.find((name) => keyOf(name) === key) ?? 'config');
  return [...content.keys()]
    .filter((key) => !section.isOpen && !known.includes(key))
    .map((key) => {
      const near = nearest(key, known);
      const hint =
        near !== null ? `; did you mean ${section.section}.${near}?` : misplaced(key) ? `; ${key} belongs at the top of the file` : '';
      return {
        variable: null,
        fileKey: `${section.section}.${key}`,
        source: 'file' as const,
        expected: `is no setting of the plugin ${section.plugin}${hint}`,
        got: null,
      };
    });
}

type Parsed = { success: true; data: unknown } | { success: false; issues: readonly z.core.$ZodIssue[] };

async function parse(plugin: ConfigurablePlugin, input: unknown): Promise<Parsed> {
  try {
    const result = await plugin.settings.schema.safeParseAsync(input);
    return result.success ? { success: true, data: result.data } : { success: false, issues: result.error.issues };
  } catch (error) {
    // A check of the plugin's that throws is the plugin's mistake; the operator still gets all the other faults.
    return {
      success: false,
      issues: [{ code: 'custom', path: [], message: `the plugin's own check failed: ${messageOf(error)}`, input: undefined }],
    };
  }
}

function faultOf(issue: z.core.$ZodIssue, section: PluginSection, written: ReadonlyMap<string, Written>): ConfigFault {
  const [name, ...inner] = issue.path.map(String);
  const setting = section.settings.find((one) => one.name === name);
  const found = name === undefined ? undefined : written.get(name);
  const place = inner.length === 0 ? '' : `at ${inner.join('.')}: `;
  const message = `${place}${issue.message.replace(/^Invalid (input|option): /, '')}`;
  const text = typeof found?.value === 'string' ? found.value : '';
  const isSecret = setting?.isSecret === true;
  return {
    variable: found?.from === undefined ? (setting?.variable ?? null) : variableOf(found.from),
    fileKey: found?.from === undefined ? (setting?.fileKey ?? section.section) : keyOf(found.from),
    source: found?.source ?? null,
    // A message may quote the value.
    expected: isSecret && text !== '' ? message.replaceAll(text, hidden) : message,
    got: found === undefined ? null : isSecret ? hidden : withoutUrlSecrets(shown(found.value)),
  };
}

function valuesOf(section: PluginSection, written: ReadonlyMap<string, Written>, parsed: Parsed): SectionValue[] {
  const data = parsed.success && typeof parsed.data === 'object' && parsed.data !== null ? (parsed.data as Record<string, unknown>) : {};
  return section.settings.map((setting) => {
    const found = written.get(setting.name);
    // The schema may rename or drop what it read; then the value as it was written is the honest thing to show.
    const value = setting.name in data ? data[setting.name] : found?.value;
    return { setting, value: value ?? null, source: found?.source ?? 'default', from: found?.from ?? null };
  });
}
