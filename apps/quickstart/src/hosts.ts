import { hasSshd, makeSshKeyPair, startSshd, startSshHost } from '@dynflow/testing';
import type { SshKeyPair, SshServer } from '@dynflow/testing';
import ssh2 from 'ssh2';

/** A throwaway SSH server with the name that the quickstart gives it. */
export interface DemoHost {
  readonly name: string;
  readonly server: SshServer;
}

export interface DemoHosts {
  readonly hosts: readonly DemoHost[];
  /** What kind of server they are, for people. */
  readonly kind: string;
  /** The private key that may log in on all of them. */
  readonly clientKeyPath: string;
}

const loginLimitMs = 10_000;

/**
 * Starts SSH servers on a loopback address: sshd if there is one that lets us in, else servers of our own that really run commands.
 *
 * `onStarted` is told of each server at once, also when a later one fails.
 */
export async function startHosts(count: number, address: string, onStarted: (server: SshServer) => void): Promise<DemoHosts> {
  const clientKey = makeSshKeyPair();
  const hasUsableSshd = (await hasSshd()) && (await canUseSshd(address, clientKey));
  const start = hasUsableSshd ? startSshd : startSshHost;
  const hosts: DemoHost[] = [];
  for (let number = 1; number <= count; number += 1) {
    const server = await start({ host: address, clientKey });
    onStarted(server);
    hosts.push({ name: `host-${number}`, server });
  }
  return {
    hosts,
    kind: hasUsableSshd ? 'OpenSSH sshd' : 'built in, for want of an sshd that lets us in',
    clientKeyPath: hosts[0]?.server.clientKeyPath ?? '',
  };
}

/** An sshd may be there and yet refuse us: a locked account, a login shell that is none. One try shows it. */
async function canUseSshd(address: string, clientKey: SshKeyPair): Promise<boolean> {
  let sshd: SshServer | undefined;
  try {
    sshd = await startSshd({ host: address, clientKey });
    return await canRun(sshd);
  } catch {
    return false;
  } finally {
    await sshd?.stop();
  }
}

function canRun(server: SshServer): Promise<boolean> {
  const client = new ssh2.Client();
  return new Promise<boolean>((resolve) => {
    client.on('error', () => resolve(false));
    client.on('close', () => resolve(false));
    client.on('ready', () => {
      client.exec('exit 7', (error, channel) => {
        if (error !== undefined) return resolve(false);
        channel.on('exit', (status: number | null) => resolve(status === 7));
        channel.resume();
      });
    });
    const { host, port, user } = server;
    client.connect({ host, port, username: user, privateKey: server.clientKey.privateKey, readyTimeout: loginLimitMs });
  }).finally(() => client.destroy());
}
