import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './catalogue.js';

/** A test whose name begins with an id. */
export interface NamedTest {
  readonly id: string;
  /** Path in the repository. */
  readonly file: string;
  readonly line: number;
}

const notSources = new Set(['node_modules', 'dist']);
const mayNameOne = /\b(?:it|test)[.(]/;
const idAtStart = /^([A-Z]{1,2}\d+): /;

/** Finds the tests in all sources, specs and the suites that specs share. Only what is written out counts, not a computed name. */
export function findNamedTests(folders: readonly string[] = ['libs', 'apps', 'examples', 'test']): NamedTest[] {
  return folders.flatMap(sourcesBelow).flatMap((file) => testsIn(file, readFileSync(join(root, file), 'utf8')));
}

/** The tests in one source text. */
export function testsIn(file: string, text: string): NamedTest[] {
  if (!mayNameOne.test(text)) {
    return [];
  }
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const tests: NamedTest[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) {
      const [name] = node.arguments;
      const id = name !== undefined && ts.isStringLiteralLike(name) ? idAtStart.exec(name.text)?.[1] : undefined;
      if (id !== undefined) {
        tests.push({ id, file, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return tests;
}

/** `it(…)`, `test(…)`, and what hangs on them: `it.each(…)(…)`. */
function isTest(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) {
    return callee.text === 'it' || callee.text === 'test';
  }
  return (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) && isTest(callee.expression);
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      return notSources.has(entry.name) ? [] : sourcesBelow(path);
    }
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}
