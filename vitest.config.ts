import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defineConfig } from 'vitest/config';

interface Stage {
  readonly name: string;
  readonly include?: readonly string[];
  readonly testTimeoutMs?: number;
  readonly sharesModules?: boolean;
}

const root = import.meta.dirname;
const table = JSON.parse(readFileSync(join(root, 'scripts/test-stages.json'), 'utf8')) as { stages: readonly Stage[] };
const stages = table.stages.filter((stage): stage is Stage & { include: readonly string[] } => stage.include !== undefined);

// A file belongs to the stage that names it; `unit` is what remains, so that no spec can fall between the stages.
const claimedByOthers = stages.filter((stage) => stage.name !== 'unit').flatMap((stage) => stage.include);

// Workspace packages resolve to their TypeScript sources: no build is needed, and a stale `dist` cannot be what was tested.
const conditions = ['dynflow-source', 'module', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  // Said here as well as in tsconfig.base.json, because specs lie outside the packages' tsconfig and Nest needs the metadata there too.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    environment: 'node',
    // Stages run side by side; they would write the same file.
    cache: false,
    // Where scripts/setup.mjs puts the servers that it fetched; they go before the system's, which may be too old.
    env: { PATH: [join(root, '.cache/bin'), process.env['PATH']].join(delimiter) },
    projects: stages.map((stage) => ({
      extends: true,
      test: {
        name: stage.name,
        isolate: stage.sharesModules !== true,
        include: [...stage.include],
        exclude: ['**/node_modules/**', '**/dist/**', ...(stage.name === 'unit' ? claimedByOthers : [])],
        testTimeout: stage.testTimeoutMs ?? 20_000,
        hookTimeout: stage.testTimeoutMs ?? 20_000,
      },
    })),
  },
});
