import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { root, type Section } from './catalogue.js';

/** Writes a section back into its file, in the form that the formatter wants. */
export async function saveSection({ file, section, title, prefix, ids }: Section): Promise<void> {
  const head = JSON.stringify({ section, title, prefix }).slice(1, -1).replaceAll('","', '",\n"');
  const text = `{\n${head},\n"ids": [\n${ids.map((entry) => JSON.stringify(entry)).join(',\n')}\n]}`;
  const options = await resolveConfig(join(root, 'package.json'));
  writeFileSync(join(root, file), await format(text, { ...options, parser: 'json' }));
}
