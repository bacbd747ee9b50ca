import { connect, createServer } from 'node:net';

/** The loopback address that works here, IPv4 first; undefined where there is none. */
export async function findLoopback() {
  for (const host of ['127.0.0.1', '::1']) if (await works(host)) return host;
  return undefined;
}

/**
 * Sees whether a port can be listened on.
 *
 * @returns {Promise<{ port: number } | { code: string }>} the port, a free one for 0; or why not, as EADDRINUSE
 */
export function tryPort(host, port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }) => resolve({ code }));
    server.listen(port, host, () => {
      const taken = server.address().port;
      server.close(() => resolve({ port: taken }));
    });
  });
}

/** An address can be there while its interface is down, so a connection is tried. */
function works(host) {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    const end = (result) => server.close(() => resolve(result));
    server.once('error', () => resolve(false));
    server.listen(0, host, () => {
      const socket = connect({ host, port: server.address().port, timeout: 2_000 });
      const done = (result) => {
        socket.destroy();
        end(result);
      };
      socket.once('connect', () => done(true));
      socket.once('timeout', () => done(false));
      socket.once('error', () => done(false));
    });
  });
}
