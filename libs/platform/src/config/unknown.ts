import { nearest, type ConfigFault } from './faults.js';
import type { Environment } from './gather.js';
import type { PluginSection } from './plugin-settings.js';
import { keyOf, knownSections, namesElsewhere, settingNames, settings, variableOf, type Setting } from './settings.js';

export interface UnknownNames {
  faults: ConfigFault[];
  /** What is left unused on purpose, for the log. */
  notes: string[];
}

/** What nobody asked for: a mistyped name must not be a setting that silently does nothing. */
export function findUnknown(env: Environment, file: ReadonlyMap<string, unknown>, sections: readonly PluginSection[]): UnknownNames {
  const inEnvironment = unknownVariables(env, sections);
  const inFile = unknownKeys(file, sections);
  return { faults: [...inEnvironment.faults, ...inFile.faults], notes: [...inEnvironment.notes, ...inFile.notes] };
}

function unknownVariables(env: Environment, sections: readonly PluginSection[]): UnknownNames {
  const known = [...settingNames.map(variableOf), ...sections.flatMap((section) => section.settings.map(({ variable }) => variable))];
  const unknown = Object.keys(env)
    .filter((name) => name.startsWith('DYNFLOW_') && !known.includes(name) && !isServiceLink(name, env[name] ?? ''))
    .sort();
  const elsewhere = unknown.filter((name) => unloadedSectionOf(name, sections) !== undefined);
  return {
    notes: elsewhere.map((name) => `${name} is not used here: no loaded plugin has the section ${unloadedSectionOf(name, sections) ?? ''}`),
    faults: unknown
      .filter((name) => !elsewhere.includes(name))
      .map((name) => {
        const renamed = namesElsewhere[name.slice('DYNFLOW_'.length).toLowerCase()];
        const near = renamed === undefined ? nearest(name, known) : variableOf(renamed);
        return fault({ variable: name, fileKey: null, source: 'environment', suggestion: near });
      }),
  };
}

function unknownKeys(file: ReadonlyMap<string, unknown>, sections: readonly PluginSection[]): UnknownNames {
  const inFile = settingNames.filter((name) => (settings[name] as Setting<unknown>).isInFile !== false).map(keyOf);
  const known = [...inFile, ...sections.map(({ section }) => section)];
  const unknown = [...file.keys()].filter((key) => !known.includes(key)).sort();
  const elsewhere = unknown.filter((key) => (knownSections as readonly string[]).includes(key));
  return {
    notes: elsewhere.map((key) => `the section ${key} of the file is not used here: no loaded plugin has it`),
    faults: unknown
      .filter((key) => !elsewhere.includes(key))
      .map((key) => {
        const renamed = namesElsewhere[key];
        const near = renamed === undefined ? nearest(key, [...known, ...knownSections]) : keyOf(renamed);
        return fault({ variable: null, fileKey: key, source: 'file', suggestion: near });
      }),
  };
}

function unloadedSectionOf(variable: string, sections: readonly PluginSection[]): string | undefined {
  return knownSections.find(
    (name) => variable.startsWith(`DYNFLOW_${name.toUpperCase()}_`) && !sections.some(({ section }) => section === name),
  );
}

/** Kubernetes puts the addresses of all Services of a namespace into the environment, under the Services' names. */
function isServiceLink(name: string, value: string): boolean {
  return (
    /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value))
  );
}

function fault({
  suggestion,
  ...place
}: Pick<ConfigFault, 'variable' | 'fileKey' | 'source'> & { suggestion: string | null }): ConfigFault {
  return { ...place, expected: `is no setting${suggestion === null ? '; --help lists all' : `; did you mean ${suggestion}?`}`, got: null };
}
