import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSshHost, startSshd } from '@dynflow/testing';
import type { SshServer, Sshd } from '@dynflow/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SshConnection, SshTarget } from '../ssh/transport.js';
import { parseScriptJob } from './job.js';
import { runScript } from './run-script.js';
import { ScriptLab } from './script-lab.js';

/** Three generations that each write to the ledger for as long as they live; the middle one cannot be ended by TERM if it is deaf. */
function family(ledger: string, isDeaf: boolean): string {
  const trap = isDeaf ? "trap '' TERM; " : '';
  const beat = (name: string): string => `while :; do echo ${name} >> ${ledger}; sleep 0.1; done`;
  return [
    `sh -c '${trap.replaceAll("'", `'"'"'`)}(${beat('grandchild')}) & ${beat('child')}' &`,
    `until grep -q grandchild ${ledger} 2>/dev/null && grep -q child ${ledger}; do sleep 0.05; done`,
    'echo started',
    beat('script'),
  ].join('\n');
}

/** Waits until nobody writes to the ledger any more: it stays the same for longer than several beats take. */
async function isStill(path: string): Promise<boolean> {
  const before = (await readFile(path)).length;
  await new Promise((resolve) => setTimeout(resolve, 600));
  return (await readFile(path)).length === before;
}

const servers: Record<string, () => Promise<SshServer>> = {
  sshd: () => startSshd({ account: {} }),
  'the ssh2 server': () => startSshHost(),
};

describe.each(Object.keys(servers))('stopping a script on %s', (name) => {
  let server: SshServer;
  let lab: ScriptLab;
  let dir: string;

  beforeAll(async () => {
    server = await (servers[name] as () => Promise<SshServer>)();
    lab = new ScriptLab(server);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    dir = `/var/tmp/rex-spec-${randomUUID()}`;
    await lab.run({ script: `mkdir -p ${dir}/work` });
  });
  afterEach(async () => {
    expect(await readdir(join(dir, 'work'))).toEqual([]);
    await rm(dir, { recursive: true });
  });

  it('ends all its processes with TERM when it is cancelled', async () => {
    const ledger = join(dir, 'ledger');
    const run = lab.start({ script: family(ledger, false), remote_working_dir: join(dir, 'work') });
    await run.seen('stdout', 'started');
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 143 });
    expect(await isStill(ledger)).toBe(true);
    expect(run.text('debug')).toBe('Cancel requested, trying to stop the job\nThe job was stopped with TERM, exit status 143\n');
    expect(run.text('stderr')).toBe('');
  });

  it('lets the script end as it likes within the grace', async () => {
    const script = 'trap "echo tidying; exit 5" TERM; echo started; while :; do sleep 0.05; done';
    const run = lab.start({ script, remote_working_dir: join(dir, 'work') });
    await run.seen('stdout', 'started');
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 5 });
    expect(run.text('stdout')).toBe('started\ntidying\n');
  });

  it('kills after the grace what does not listen, also when the script itself has ended', async () => {
    const ledger = join(dir, 'ledger');
    const run = lab.start({ script: family(ledger, true), remote_working_dir: join(dir, 'work') }, { graceMs: 1000 });
    await run.seen('stdout', 'started');
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 143 });
    expect(await isStill(ledger)).toBe(true);
  });

  it('kills a script that does not listen', async () => {
    const script = "trap '' TERM; echo started; while :; do sleep 0.05; done";
    const run = lab.start({ script, remote_working_dir: join(dir, 'work') }, { graceMs: 500 });
    await run.seen('stdout', 'started');
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 137 });
    expect(run.text('debug')).toContain('The job was stopped with KILL, exit status 137\n');
  });

  it('ends a script at its time limit in the same way', async () => {
    const script = 'echo started; exec sleep 300';
    const run = lab.start({ script, execution_timeout_interval: 1, remote_working_dir: join(dir, 'work') });
    expect(await run.result).toEqual({ exitStatus: 143 });
    expect(run.text('stdout')).toBe('started\n');
    expect(run.text('debug')).toMatch(/^Timeout for execution passed, trying to stop the job\n/);
  });

  it('starts nothing when it was cancelled before', async () => {
    const run = lab.start({ script: `touch ${dir}/ran`, remote_working_dir: join(dir, 'work') });
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 'EXCEPTION' });
    expect(await readdir(dir)).toEqual(['work']);
    expect(run.text('debug')).toContain(`nothing was run on ${server.host}`);
  });

  it('gives an answer for every moment at which a cancel can come', async () => {
    // Spread over connecting, login, preparing and running: whatever it meets, it ends soon and leaves nothing (afterEach).
    const outcomes = await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const run = lab.start({ script: `echo ${index} >> ${dir}/ran; exec sleep 300`, remote_working_dir: join(dir, 'work') });
        setTimeout(run.cancel, index * 40);
        return (await run.result).exitStatus;
      }),
    );
    expect(new Set([...outcomes, 143, 'EXCEPTION'])).toEqual(new Set([143, 'EXCEPTION']));
  });
});

describe('a connection that is lost', () => {
  let server: Sshd;
  let lab: ScriptLab;
  beforeAll(async () => {
    server = await startSshd({ account: {} });
    lab = new ScriptLab(server);
  });
  afterAll(() => server.stop());

  it('ends the job with a line that it may still be running', async () => {
    const dir = `/var/tmp/rex-spec-${randomUUID()}`;
    const run = lab.start({ script: 'echo started; exec sleep 300', remote_working_dir: dir });
    await run.seen('stdout', 'started');
    await server.dropConnections();
    expect(await run.result).toEqual({ exitStatus: 'EXCEPTION' });
    expect(run.text('debug')).toMatch(
      /^Lost the connection to 127\.0\.0\.1 \(.+\); the job may still be running there, its exit status is unknown\n$/,
    );
    // It does run on, and cleans up after itself when it has ended.
    const [jobDir] = await readdir(dir);
    const kept = lab.start({
      script: `kill "$(cat ${dir}/${jobDir}/pid)"; while [ -e ${dir}/${jobDir} ]; do sleep 0.05; done; rmdir ${dir}`,
    });
    expect(await kept.result).toEqual({ exitStatus: 0 });
  });
});

describe('a host that hangs', () => {
  let server: Sshd;
  let relay: Relay;
  let lab: ScriptLab;
  beforeAll(async () => {
    server = await startSshd({ account: {} });
    relay = await startRelay(server.port);
    lab = new ScriptLab({ ...server, port: relay.port }, { keepaliveMs: 200 });
  });
  afterEach(() => relay.thaw());
  afterAll(async () => {
    relay.stop();
    await server.stop();
  });

  it('is given up when it shows no sign of life', async () => {
    const run = lab.start({ script: 'echo started; exec sleep 300', remote_working_dir: `/home/${server.user}/work` });
    await run.seen('stdout', 'started');
    relay.freeze();
    expect(await run.result).toEqual({ exitStatus: 'EXCEPTION' });
    expect(run.text('debug')).toMatch(/^Lost the connection to 127\.0\.0\.1 \(Keepalive timeout\); the job may still be running there/);
  });

  it('does not hold up a cancel before the session is open', async () => {
    let frozen: () => void = () => undefined;
    const isFrozen = new Promise<void>((resolve) => (frozen = resolve));
    const transport = {
      connect: async (target: SshTarget): Promise<SshConnection> => {
        const connection = await new ScriptLab({ ...server, port: relay.port }).transport.connect(target);
        relay.freeze();
        frozen();
        return connection;
      },
    };
    const abort = new AbortController();
    const lines: string[] = [];
    const job = parseScriptJob({ hostname: server.host, ssh_port: relay.port, ssh_user: server.user, script: 'true' });
    const result = runScript(job, { transport, write: (_type, text) => void lines.push(text) }, abort.signal, { confirmMs: 200 });
    await isFrozen;
    abort.abort();
    expect(await result).toEqual({ exitStatus: 'EXCEPTION' });
    expect(lines.at(-1)).toBe('Stopped before the script was started; nothing was run on 127.0.0.1\n');
  });

  it('does not hold up a cancel', async () => {
    const patient = new ScriptLab({ ...server, port: relay.port });
    const run = patient.start(
      { script: 'echo started; exec sleep 300', remote_working_dir: `/home/${server.user}/work` },
      { graceMs: 200, confirmMs: 200 },
    );
    await run.seen('stdout', 'started');
    relay.freeze();
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 'EXCEPTION' });
    expect(run.text('debug')).toMatch(
      /did not confirm the end of the job, neither after TERM nor after KILL; it may still be running there\n$/,
    );
  });
});

describe('cancelling while connecting', () => {
  let silent: Server;
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rex-spec-'));
    silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
  });
  afterAll(async () => {
    silent.close();
    await rm(dir, { recursive: true });
  });

  it('ends at once', async () => {
    const lab = new ScriptLab({
      host: '127.0.0.1',
      port: (silent.address() as AddressInfo).port,
      user: 'nobody',
      clientKeyPath: '/nowhere',
    });
    const run = lab.start({ script: 'true', secrets: { ssh_password: 'x' } });
    await once(silent, 'connection');
    const startedAt = performance.now();
    run.cancel();
    expect(await run.result).toEqual({ exitStatus: 'EXCEPTION' });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(run.text('debug')).toBe(
      'Cancel requested, trying to stop the job\nStopped before the script was started; nothing was run on 127.0.0.1\n',
    );
  });

  it('ends at the time limit of the job, which counts from before the connection', async () => {
    const lab = new ScriptLab({
      host: '127.0.0.1',
      port: (silent.address() as AddressInfo).port,
      user: 'nobody',
      clientKeyPath: '/nowhere',
    });
    const outcome = await lab.run({ script: 'true', secrets: { ssh_password: 'x' }, execution_timeout_interval: 0.3 });
    expect(outcome.exitStatus).toBe('EXCEPTION');
    expect(outcome.debug).toMatch(/^Timeout for execution passed, trying to stop the job\nStopped before the script was started/);
  });
});

interface Relay {
  readonly port: number;
  /** Nothing goes through any more, in either direction, and no connection ends: as when a cable is pulled. */
  freeze(): void;
  thaw(): void;
  stop(): void;
}

async function startRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ port: target, host: '127.0.0.1' });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => to.write(chunk));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    freeze: () => sockets.forEach((socket) => socket.pause()),
    thaw: () => sockets.forEach((socket) => socket.destroy()),
    stop: () => void server.close(),
  };
}
