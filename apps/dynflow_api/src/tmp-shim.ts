/* eslint-disable */
export function shim(db: any): any {
  const docs = new Map<string, any>();
  return Object.assign(db, {
    documents: db.documents ?? {
      get: async (p: string, c: string, k: string) => docs.get([p, c, k].join('|')) ?? null,
      put: async (p: string, c: string, k: string, document: any) => { docs.set([p, c, k].join('|'), { key: k, document, revision: 1 }); return true; },
      delete: async (p: string, c: string, k: string) => void docs.delete([p, c, k].join('|')),
      find: async () => [],
    },
    manifests: db.manifests ?? { all: async () => [], keep: async () => undefined },
    purgeFinished: db.purgeFinished ?? (async () => 0),
  });
}
