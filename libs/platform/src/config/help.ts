import { sectionOf, type ConfigurablePlugin } from './plugin-settings.js';
import { keyOf, settingGroups, settingNames, settings, variableOf, type Program, type Setting } from './settings.js';

const nothing = '-';

/** The settings that a program reads, for `--help`: two lines each, in groups. */
export function settingsHelp(program: Program): string {
  const used = settingNames.filter((name) => settings[name].programs.some((one) => one === program));
  const groups = settingGroups.map((group) => ({ group, names: used.filter((name) => settings[name].group === group) }));
  return groups
    .filter(({ names }) => names.length > 0)
    .map(({ group, names }) => [`${group}:`, ...names.flatMap((name) => lines(variableOf(name), settings[name]))].join('\n'))
    .join('\n\n');
}

/** The table of all settings for `docs/configuration.md`, in Markdown. */
export function settingsMarkdown(): string {
  return settingGroups
    .map((group) => {
      const names = settingNames.filter((name) => settings[name].group === group);
      const rows = names.map((name) => {
        const setting: Setting<unknown> = settings[name];
        const programs = setting.programs.length > 1 ? 'both' : (setting.programs[0] ?? nothing);
        const key = setting.isInFile === false ? nothing : code(keyOf(name));
        return row(
          code(variableOf(name)),
          key,
          programs,
          defaultCell(setting),
          withCode(`${setting.help} Expects ${setting.kind.expects}.`),
          code(setting.example),
        );
      });
      return [`### ${group}`, '', ...heading('Variable', 'Key in the file', 'Read by', 'Default', 'Meaning', 'Example'), ...rows].join(
        '\n',
      );
    })
    .join('\n\n');
}

/** The table of a plugin's settings, in Markdown, for the plugin's own documentation. */
export function pluginSettingsMarkdown(plugin: ConfigurablePlugin): string {
  const rows = sectionOf(plugin).settings.map((setting) =>
    row(code(setting.variable), code(setting.fileKey), setting.default === null ? nothing : code(setting.default), setting.help),
  );
  return [...heading('Variable', 'Key in the file', 'Default', 'Meaning'), ...rows].join('\n');
}

function lines(variable: string, setting: Setting<unknown>): string[] {
  const fallback = setting.default ?? setting.defaultNote;
  return [`  ${variable}${fallback === undefined ? '' : `  [${fallback}]`}`, `      ${setting.help} Example: ${setting.example}`];
}

function defaultCell(setting: Setting<unknown>): string {
  return setting.default === null ? withCode(setting.defaultNote ?? nothing) : code(setting.default);
}

function heading(...cells: string[]): string[] {
  return [row(...cells), row(...cells.map(() => '---'))];
}

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}

function withCode(text: string): string {
  return text.replaceAll(/DYNFLOW_[A-Z_]+/g, code);
}
