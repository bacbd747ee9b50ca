import type { JsonValue } from '@dynflow/kernel';
import type { Gathered, ValueSource } from './gather.js';
import { hidden, withoutUrlSecrets } from './redact.js';
import type { ReadSection } from './sections.js';
import { keyOf, settingNames, settings, variableOf, type Program, type Setting, type SettingName } from './settings.js';

/** A setting as it is in force. Nothing in it is secret. */
export interface ConfigEntry {
  variable: string;
  /** Null where the file cannot hold it. */
  fileKey: string | null;
  /** As it was written, so that it can be written again; null where there is none. */
  value: JsonValue;
  source: ValueSource;
  /** The variable of the setting that this one falls back to, where it does. */
  from: string | null;
  /** Null: a setting of the service itself. */
  plugin: string | null;
}

/** The settings that a program uses, in the table's order, and then those of its plugins. */
export function entriesOf(program: Program, { written }: Gathered, sections: readonly ReadSection[]): ConfigEntry[] {
  const core = settingNames.filter((name) => settings[name].programs.some((one) => one === program));
  return [
    ...core.map((name): ConfigEntry => {
      const setting: Setting<unknown> = settings[name];
      const found = written.get(name);
      return {
        variable: variableOf(name),
        fileKey: setting.isInFile === false ? null : keyOf(name),
        value: visible(found?.value ?? null, setting.secret === 'value'),
        source: found?.source ?? 'default',
        from: fromOf(found?.from),
        plugin: null,
      };
    }),
    // What a plugin shares with the service under one variable is in the table already.
    ...sections.flatMap(({ section, values }) =>
      values
        .filter(({ setting }) => !core.some((name) => variableOf(name) === setting.variable))
        .map(({ setting, value, source, from }): ConfigEntry => ({
          variable: setting.variable,
          fileKey: setting.fileKey,
          value: visible(value, setting.isSecret),
          source,
          from: fromOf(from ?? undefined),
          plugin: section.plugin,
        })),
    ),
  ];
}

function fromOf(name: SettingName | undefined): string | null {
  return name === undefined ? null : variableOf(name);
}

function visible(value: unknown, isSecret: boolean): JsonValue {
  if (isSecret && value !== null) {
    return hidden;
  }
  const text = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? withoutUrlSecrets(inner) : inner));
  return text === undefined ? null : (JSON.parse(text) as JsonValue);
}
