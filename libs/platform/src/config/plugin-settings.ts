import { z } from 'zod';
import { isJsonObject, type JsonObject } from '@dynflow/kernel';
import { looksSecret } from './redact.js';

/** What the configuration needs to know of a plugin; every plugin made with `definePlugin` is one. */
export interface ConfigurablePlugin {
  name: string;
  settings: { section: string; schema: z.ZodType };
}

/** One setting of a plugin, as its schema declares it. */
export interface PluginSetting {
  name: string;
  variable: string;
  fileKey: string;
  types: ReadonlySet<string>;
  words: readonly string[];
  itemTypes: ReadonlySet<string>;
  isSecret: boolean;
  help: string;
  /** As JSON; null where there is none. */
  default: string | null;
}

export interface PluginSection {
  plugin: string;
  section: string;
  settings: readonly PluginSetting[];
  /** True when the schema takes keys that it does not name. */
  isOpen: boolean;
}

/**
 * The settings of a plugin's section, from its schema. `.describe(…)` is the help text; `.meta({ secret: true })` hides the
 * value, as does a name that says password, passphrase, secret, token or credential unless the schema says `secret: false`.
 */
export function sectionOf(plugin: ConfigurablePlugin): PluginSection {
  const { section, schema } = plugin.settings;
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as unknown as JsonObject;
  const properties = isJsonObject(json['properties'] ?? null) ? (json['properties'] as JsonObject) : {};
  const additional = json['additionalProperties'];
  return {
    plugin: plugin.name,
    section,
    settings: Object.entries(properties).map(([name, property]) => declared(section, name, isJsonObject(property) ? property : {})),
    isOpen: additional !== undefined && additional !== false,
  };
}

/** Reads the environment's text by what the schema takes there. A text that does not fit stays a text, for the schema to refuse. */
export function fromText(setting: PluginSetting, text: string): unknown {
  const trimmed = text.trim();
  if (setting.types.has('array') && !(setting.types.has('string') && !trimmed.startsWith('['))) {
    return listFrom(trimmed, setting.itemTypes);
  }
  if (setting.types.has('object') && trimmed.startsWith('{')) {
    return jsonFrom(trimmed) ?? text;
  }
  const word = withoutColon(trimmed, setting.words);
  return setting.words.includes(word) ? word : scalar(text, setting.types, setting.words.length > 0);
}

/** A value of the file: typed already, but texts may be what YAML 1.1, Ruby's, takes for something else: `yes`, `:symbol`. */
export function fromFile(setting: PluginSetting, value: unknown): unknown {
  return typeof value === 'string' ? fromText(setting, value) : value;
}

function declared(section: string, name: string, property: JsonObject): PluginSetting {
  const branches = branchesOf(property);
  const items = branches.flatMap((branch) => (isJsonObject(branch['items'] ?? null) ? branchesOf(branch['items'] as JsonObject) : []));
  return {
    name,
    variable: `DYNFLOW_${section}_${name}`.toUpperCase(),
    fileKey: `${section}.${name}`,
    types: typesOf(branches),
    words: branches.flatMap((branch) => [branch['enum'], branch['const']].flat().filter((word) => typeof word === 'string')),
    itemTypes: typesOf(items),
    isSecret: typeof property['secret'] === 'boolean' ? property['secret'] : looksSecret(name),
    help: typeof property['description'] === 'string' ? property['description'] : '',
    default: property['default'] === undefined || property['default'] === null ? null : JSON.stringify(property['default']),
  };
}

function branchesOf(schema: JsonObject): JsonObject[] {
  const inner = [schema['anyOf'], schema['oneOf'], schema['allOf']]
    .flat()
    .filter((one): one is JsonObject => one !== undefined && isJsonObject(one));
  return [schema, ...inner.flatMap(branchesOf)];
}

function typesOf(branches: JsonObject[]): Set<string> {
  return new Set(branches.flatMap((branch) => [branch['type']].flat()).filter((type) => typeof type === 'string'));
}

function listFrom(text: string, itemTypes: ReadonlySet<string>): unknown {
  if (text.startsWith('[')) {
    return jsonFrom(text) ?? text;
  }
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map((item) => scalar(item, itemTypes, false));
}

/** A number or a boolean where the schema takes one and the text is one. Where any text is right, it stays a text. */
function scalar(text: string, types: ReadonlySet<string>, isOneOfWords: boolean): unknown {
  const trimmed = text.trim();
  if (types.has('string') && !isOneOfWords) {
    return text;
  }
  if ((types.has('number') || types.has('integer')) && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) {
    return Number(trimmed);
  }
  if (types.has('boolean') && /^(true|yes|on|1|false|no|off|0)$/i.test(trimmed)) {
    return /^(true|yes|on|1)$/i.test(trimmed);
  }
  return types.has('null') && trimmed === 'null' ? null : text;
}

function withoutColon(value: string, words: readonly string[]): string {
  return value.startsWith(':') && words.includes(value.slice(1)) ? value.slice(1) : value;
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
