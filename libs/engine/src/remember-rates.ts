import type { EngineParts } from './engine-parts.js';

/** Counts what earlier processes saw begin, for limits of rate. */
export async function rememberRates(engine: EngineParts): Promise<void> {
  const { store, catalogue, clock } = engine.options;
  const declarations = [...(catalogue.allDeclarations?.() ?? [])].filter(({ limits }) => limits.some(({ rate }) => rate !== undefined));
  const longestMs = Math.max(0, ...declarations.flatMap(({ limits }) => limits.map(({ rate }) => rate?.perMs ?? 0)));
  if (declarations.length > 0 && store.recentRuns !== undefined) {
    const names = [...new Set(declarations.map(({ name }) => name))];
    for (const run of await store.recentRuns(names, clock.now() - longestMs)) {
      const declaration = catalogue.declarationOf(run.action, run.version);
      if (declaration !== undefined) {
        engine.limits.remember(run, declaration);
      }
    }
  }
}
