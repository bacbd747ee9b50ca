// A package stands in several lists. This check holds them together: package.json's workspaces are the truth; nest-cli.json has
// to name every one, tsconfig.build.json every one that has a tsconfig, and each tsconfig references what its package.json
// depends on.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/paths.mjs';

const faults = [];
const workspaces = readJson('package.json').workspaces.flatMap((pattern) => {
  if (!pattern.endsWith('/*')) return [pattern];
  const parent = pattern.replace(/\/\*$/, '');
  const folders = existsSync(join(root, parent)) ? readdirSync(join(root, parent)).map((name) => `${parent}/${name}`) : [];
  return folders.filter((folder) => existsSync(join(root, folder, 'package.json')));
});
const folderOf = new Map(workspaces.map((folder) => [readJson(`${folder}/package.json`).name, folder]));
const compiled = workspaces.filter((folder) => existsSync(join(root, folder, 'tsconfig.json')));

compare(
  'nest-cli.json, projects',
  Object.values(readJson('nest-cli.json').projects).map((project) => project.root),
  workspaces,
);
compare('tsconfig.build.json, references', references('tsconfig.build.json'), compiled);

for (const folder of compiled) {
  const dependencies = Object.keys(readJson(`${folder}/package.json`).dependencies ?? {});
  const wanted = dependencies.flatMap((name) => folderOf.get(name) ?? []);
  const named = references(`${folder}/tsconfig.json`).map((path) => join(folder, path));
  compare(`${folder}/tsconfig.json, references (against its package.json)`, named, wanted);
}

if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exitCode = 1;
}

function compare(list, named, wanted) {
  for (const folder of wanted) if (!named.includes(folder)) faults.push(`${list}: ${folder} is missing`);
  for (const folder of named) if (!wanted.includes(folder)) faults.push(`${list}: ${folder} does not belong there`);
}

function references(file) {
  return (readJson(file).references ?? []).map((reference) => reference.path.replace(/\/$/, ''));
}

/** Our JSON files have comments on lines of their own only. */
function readJson(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8').replace(/^\s*\/\/.*$/gm, ''));
}
