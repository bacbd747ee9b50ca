import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GatewayApi } from '@dynflow/plugin';
import { plugin as remoteExecution } from 'dynflow_foreman_remote_execution';
import { plugin as foremanTasks } from 'dynflow_foreman_tasks';

const root = join(import.meta.dirname, '../..');
const notOurs = new Set(['node_modules', 'dist', '.git', '.cache', 'coverage']);

function pagesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return notOurs.has(entry.name) ? [] : pagesBelow(path);
    }
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const withoutCode = (page: string): string => readFileSync(page, 'utf8').replaceAll(/```.*?```/gs, '');

/** The anchors of a page's headings, as the places where Markdown is read make them. */
function anchorsOf(page: string): string[] {
  return [...withoutCode(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function brokenLinksOf(page: string): string[] {
  return [...withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
    });
}

const pages = pagesBelow(root);

describe('links', () => {
  it.each(pages.map((page) => relative(root, page)))('of %s lead somewhere', (page) => {
    expect(brokenLinksOf(join(root, page))).toEqual([]);
  });
});

describe('the indexes', () => {
  it.each(['docs', 'docs/adr'])('of %s list each page', (folder) => {
    const index = readFileSync(join(root, folder, 'README.md'), 'utf8');
    for (const name of readdirSync(join(root, folder)).filter((file) => file.endsWith('.md') && file !== 'README.md')) {
      expect(index).toContain(`](${name})`);
    }
  });
});

describe('docs/foreman-api.md', () => {
  it('has every route of the plugins in its table, and no other', () => {
    const inCore = foremanTasks.gateway?.routes?.({} as GatewayApi, {}, { debug: ignore, info: ignore, warn: ignore, error: ignore }) ?? [];
    const routes = [...inCore.filter(({ path }) => !path.startsWith('/dynflow')), ...(remoteExecution.routes ?? [])];
    const ofTheGateway = ['GET /healthz', 'GET /readyz', 'GET /metrics'];
    const page = readFileSync(join(root, 'docs/foreman-api.md'), 'utf8');
    const shown = [...page.matchAll(/^\| `((?:GET|POST|PUT|DELETE) [^`]+)`/gm)].map(([, route]) => route);
    expect(shown).toHaveLength(new Set(shown).size);
    expect(new Set(shown)).toEqual(new Set([...routes.map(({ method, path }) => `${method} ${path}`), ...ofTheGateway]));
  });
});

const ignore = (): void => undefined;
