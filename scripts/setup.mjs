// Provides what stages need beyond node_modules: Debian packages, a nats-server, Python environments. `npm run setup` does it for all of them.
import { fileURLToPath } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { installPackages } from './lib/apt.mjs';
import { provideNatsServer } from './lib/nats-server.mjs';
import { provideVirtualenv } from './lib/python.mjs';
import { findProgram } from './lib/run.mjs';
import { stages } from './lib/stages.mjs';

/**
 * Provides what these stages need.
 *
 * @returns {Promise<Map<string, string>>} stage name → what it still lacks and how to get it
 */
export async function provide(wanted) {
  const packages = new Map(wanted.flatMap((stage) => Object.entries(stage.debian ?? {})));
  const absent = () => [...packages].filter(([, program]) => !findProgram(program)).map(([name]) => name);
  const refusal = absent().length > 0 ? await installPackages(absent()) : undefined;
  const missing = new Set(absent());

  const noNats = wanted.some((stage) => stage.nats) ? await provideNatsServer() : undefined;
  const noPython = new Map();
  for (const [name, requirements] of new Map(wanted.flatMap((stage) => Object.entries(stage.python ?? {})))) {
    noPython.set(name, await provideVirtualenv(name, requirements));
  }

  const lacks = new Map();
  for (const stage of wanted) {
    const reasons = [];
    if (Object.keys(stage.debian ?? {}).some((name) => missing.has(name))) reasons.push(refusal ?? `missing: ${[...missing].join(', ')}`);
    if (stage.nats && noNats) reasons.push(noNats);
    reasons.push(...Object.keys(stage.python ?? {}).flatMap((name) => noPython.get(name) ?? []));
    if (reasons.length > 0) lacks.set(stage.name, reasons.join('\n'));
  }
  return lacks;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await bootstrap();
    const lacks = await provide(stages);
    for (const [name, reason] of lacks) console.error(`Stage ${name}: ${reason}`);
    console.log(lacks.size === 0 ? 'All is there.' : 'The stages above cannot run yet.');
    process.exitCode = lacks.size === 0 ? 0 : 1;
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
