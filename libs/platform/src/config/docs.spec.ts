import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { pluginSettingsMarkdown, settingsHelp, settingsMarkdown } from './help.js';
import { settingNames, settings, variableOf, type Setting } from './settings.js';

const page = join(import.meta.dirname, '../../../../docs/configuration.md');

describe('docs/configuration.md', () => {
  it('has the table of settings that the code has; vitest -u writes it anew', async () => {
    const text = readFileSync(page, 'utf8');
    const marks = /(<!-- settings: begin[^\n]*-->\n).*(<!-- settings: end -->)/s;

    expect(text).toMatch(marks);
    await expect(text.replace(marks, (_, begin: string, end: string) => `${begin}\n${settingsMarkdown()}\n\n${end}`)).toMatchFileSnapshot(
      page,
    );
  });
});

describe('the declarations', () => {
  it.each(settingNames)('of %s have a default and an example that can be read', (name) => {
    const setting: Setting<unknown> = settings[name];

    expect(setting.kind.schema.safeParse(setting.example)).toMatchObject({ success: true });
    expect(setting.default === null || setting.kind.schema.safeParse(setting.default).success).toBe(true);
    expect(setting.help).toMatch(/\.$/);
  });
});

describe('--help', () => {
  it('lists each setting of a program with its default, and none of the other’s', () => {
    const gateway = settingsHelp('gateway');
    const executor = settingsHelp('executor');

    for (const name of settingNames) {
      const { programs } = settings[name] as Setting<unknown>;
      expect(gateway.includes(`  ${variableOf(name)}  `) || gateway.includes(`  ${variableOf(name)}\n`)).toBe(programs.includes('gateway'));
      expect(executor.includes(`  ${variableOf(name)}  `) || executor.includes(`  ${variableOf(name)}\n`)).toBe(
        programs.includes('executor'),
      );
    }
    expect(gateway).toContain('  DYNFLOW_PORT  [8008]\n      The TCP port to listen on');
  });
});

describe('the documentation of a plugin', () => {
  it('comes from its schema', () => {
    const schema = z.object({
      ssh_user: z.string().default('root').describe('The user to log in as.'),
      mode: z.enum(['a', 'b']).optional(),
    });

    expect(pluginSettingsMarkdown({ name: 'x', settings: { section: 'remote_execution', schema } })).toBe(
      [
        '| Variable | Key in the file | Default | Meaning |',
        '| --- | --- | --- | --- |',
        '| `DYNFLOW_REMOTE_EXECUTION_SSH_USER` | `remote_execution.ssh_user` | `"root"` | The user to log in as. |',
        '| `DYNFLOW_REMOTE_EXECUTION_MODE` | `remote_execution.mode` | - |  |',
      ].join('\n'),
    );
  });
});
