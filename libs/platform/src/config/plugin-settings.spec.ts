import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fromText, sectionOf, type PluginSection } from './plugin-settings.js';

function sectionWith(schema: z.ZodType): PluginSection {
  return sectionOf({ name: 'example', settings: { section: 'example', schema } });
}

function read(schema: z.ZodType, text: string): unknown {
  const [setting] = sectionWith(z.object({ value: schema })).settings;
  if (setting === undefined) {
    throw new Error('the schema declares nothing');
  }
  return fromText(setting, text);
}

describe('a text for a plugin’s setting', () => {
  it.each<[string, z.ZodType, string, unknown]>([
    ['a text stays one, whatever it looks like', z.string(), ' 007 ', ' 007 '],
    ['a number', z.number(), '2.5', 2.5],
    ['a whole number that may be absent', z.number().int().nullable().default(null), '7', 7],
    ['no number stays a text, for the schema to refuse', z.number(), '7 hosts', '7 hosts'],
    ['a yes', z.boolean(), 'Yes', true],
    ['a no', z.boolean(), '0', false],
    ['a one where numbers and yes are taken', z.union([z.number(), z.boolean()]), '1', 1],
    ['a yes or a word: the word', z.union([z.boolean(), z.enum(['auto'])]), 'auto', 'auto'],
    ['a yes or a word: the yes', z.union([z.boolean(), z.enum(['auto'])]), 'on', true],
    ['a word of Ruby', z.enum(['ssh', 'pull']), ':pull', 'pull'],
    ['a colon that is no symbol of ours', z.enum(['ssh', 'pull']), ':push', ':push'],
    ['a list', z.array(z.string()), 'a, b,,c', ['a', 'b', 'c']],
    ['a list of numbers', z.array(z.number()), '1,2', [1, 2]],
    ['a list as JSON', z.array(z.string()), '["a,b"]', ['a,b']],
    ['an empty list', z.array(z.string()).default(['x']), '', []],
    ['an object as JSON', z.record(z.string(), z.number()), '{"a": 1}', { a: 1 }],
    ['an explicit nothing', z.number().nullable(), 'null', null],
    ['what is converted by the schema itself', z.string().transform(Number), '7', '7'],
  ])('%s', (_, schema, text, expected) => {
    expect(read(schema, text)).toEqual(expected);
  });
});

describe('the declaration of a section', () => {
  it('has names, help, defaults and secrets', () => {
    const { settings, isOpen } = sectionWith(
      z.object({
        ssh_user: z.string().default('root').describe('Who.'),
        api_password: z.string().optional(),
        token: z.string().meta({ secret: false }),
      }),
    );

    expect(isOpen).toBe(false);
    expect(
      settings.map(({ variable, fileKey, help, default: byDefault, isSecret }) => [variable, fileKey, help, byDefault, isSecret]),
    ).toEqual([
      ['DYNFLOW_EXAMPLE_SSH_USER', 'example.ssh_user', 'Who.', '"root"', false],
      ['DYNFLOW_EXAMPLE_API_PASSWORD', 'example.api_password', '', null, true],
      ['DYNFLOW_EXAMPLE_TOKEN', 'example.token', '', null, false],
    ]);
  });

  it('knows a schema that takes any key, and bears one that is no object', () => {
    expect(sectionWith(z.looseObject({ a: z.string() })).isOpen).toBe(true);
    expect(sectionWith(z.unknown())).toMatchObject({ settings: [], isOpen: false });
  });
});
