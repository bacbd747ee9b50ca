import { describe, expect, it } from 'vitest';
import { createLog, type Log, type LogOptions } from './logger.js';
import { NestLogger } from './nest-logger.js';
import { requestIdOf, withRequestId } from './request-id.js';

interface Captured {
  log: Log;
  lines: string[];
  records: () => Record<string, unknown>[];
}

function capture(options: Partial<LogOptions> = {}, isTTY = false): Captured {
  const lines: string[] = [];
  const log = createLog({ level: 'trace', format: 'auto', sink: { isTTY, write: (text) => lines.push(text) }, ...options });
  return { log, lines, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('the log', () => {
  it('writes one JSON object a line with level, UTC time, part and facts', () => {
    const { log, lines, records } = capture({ base: { program: 'dynflow_api' } });

    log.child('engine', { shard: 3 }).info('plan stopped', { plan: 'a', took: 12n });

    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\}\n$/);
    expect(records()[0]).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      program: 'dynflow_api',
      context: 'engine',
      shard: 3,
      plan: 'a',
      took: '12',
      msg: 'plan stopped',
    });
  });

  it('leaves out what is less severe than its level', () => {
    const { log, lines } = capture({ level: 'warn' });

    log.info('no');
    log.child('x').debug('no');
    log.warn('yes');
    expect(lines).toHaveLength(1);
  });

  it('hides secrets at every depth, in URLs, in errors, and keeps the names of files that hold them', () => {
    const { log, lines, records } = capture();
    const cause = new Error('cannot reach postgres://dynflow:s3cr3t@db/x');
    const circular: Record<string, unknown> = { password: 's3cr3t' };
    circular['self'] = circular;

    log.error('refused nats://t0k3n@bus', {
      err: Object.assign(new Error('outer', { cause }), { ssh_password: 's3cr3t' }),
      host: { effective_user_password: 's3cr3t', key_passphrase: 's3cr3t', headers: [{ Authorization: 'Basic s3cr3t' }] },
      secret_keys_file: '/etc/keys',
      circular,
    });

    expect(lines.join('')).not.toMatch(/s3cr3t|t0k3n/);
    expect(records()[0]).toMatchObject({
      msg: 'refused nats://[hidden]@bus',
      host: { effective_user_password: '[hidden]', headers: [{ Authorization: '[hidden]' }] },
      secret_keys_file: '/etc/keys',
      err: {
        type: 'Error',
        message: 'outer',
        ssh_password: '[hidden]',
        cause: { message: 'cannot reach postgres://dynflow:[hidden]@db/x' },
      },
    });
  });

  it('carries the id of the request that it serves through what that starts', async () => {
    const { log, records } = capture();

    await withRequestId('req-1', async () => {
      await Promise.resolve();
      log.info('inside');
    });
    log.info('outside');

    expect(records().map(({ requestId }) => requestId)).toEqual(['req-1', undefined]);
  });

  it('is for reading on a terminal, and takes the sting out of control characters', () => {
    const { log, lines } = capture({ base: { program: 'x' } }, true);

    log.child('ssh').warn('host \u001b[2Jgone', { host: 'a b', err: new Error('no route') });

    expect(lines[0]).toContain('\u001b[33mWARN ');
    expect(lines[0]).toContain('host �[2Jgone');
    expect(lines[0]).toMatch(/ssh.*host="a b".*no route\n\s+at /s);
    expect(capture({}, true).lines).toEqual([]);
  });

  it('has no colours where it is asked to be readable in a file, and is JSON where asked on a terminal', () => {
    const readable = capture({ format: 'pretty' });
    readable.log.info('hello', { n: 1 });
    expect(readable.lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3}Z INFO {2}hello {2}n=1\n$/);

    const json = capture({ format: 'json' }, true);
    json.log.info('hello');
    expect(json.records()[0]).toMatchObject({ msg: 'hello' });
  });
});

describe('NestLogger', () => {
  it('puts Nest’s arguments into their places', () => {
    const { log, records } = capture();
    const nest = new NestLogger(log);

    nest.log('Mapped {/tasks, GET}', 'RouterExplorer');
    nest.error('it broke', 'Error: it broke\n    at a (b.js:1:2)', 'ExceptionsHandler');
    nest.warn(new Error('as an object'));
    nest.verbose({ a: 1 });

    expect(records()).toMatchObject([
      { level: 'info', msg: 'Mapped {/tasks, GET}', context: 'RouterExplorer' },
      { level: 'error', msg: 'it broke', context: 'ExceptionsHandler', err: { stack: expect.stringContaining('b.js') } },
      { level: 'warn', msg: 'as an object', err: { type: 'Error' } },
      { level: 'trace', msg: '{"a":1}' },
    ]);
  });
});

describe('requestIdOf', () => {
  it('keeps a caller’s id only if it is fit for a log', () => {
    const ids = { uuid: () => 'new' };

    expect(requestIdOf('a-1.b', ids)).toBe('a-1.b');
    expect(requestIdOf(['first', 'second'], ids)).toBe('first');
    expect([undefined, '', 'a\nb', 'x'.repeat(129)].map((header) => requestIdOf(header, ids))).toEqual(['new', 'new', 'new', 'new']);
  });
});
