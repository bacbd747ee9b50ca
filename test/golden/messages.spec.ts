import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { compactDecrypt, importJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { messageSchemas, type MessageType } from '@dynflow/contracts';
import { natsUsers } from '@dynflow/testing';

const folder = join(import.meta.dirname, 'messages');
const root = join(import.meta.dirname, '../..');
const names = readdirSync(folder);

function read(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
}

function isMessageType(type: unknown): type is MessageType {
  return typeof type === 'string' && Object.hasOwn(messageSchemas, type);
}

/** The messages that a page shows: JSON in fences, each below a comment that names its file. */
function shownIn(page: string): { name: string; shown: unknown }[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/<!-- message: (\S+) -->\s+```json\n(.*?)```/gs)].map(([, name = '', json = '']) => ({
    name,
    shown: JSON.parse(json) as unknown,
  }));
}

describe('a message that was once sent', () => {
  it.each(names)('%s is still read, with nothing of it lost', (name) => {
    const message = read(join(folder, name));
    const { type } = message;
    if (!isMessageType(type)) {
      throw new Error(`${name} is of the unknown type ${String(type)}`);
    }
    expect(name.startsWith(`${type}.`)).toBe(true);
    expect(messageSchemas[type].parse(message)).toMatchObject(message);
  });

  it.each(names)('%s fits the JSON Schema too', (name) => {
    const message = read(join(folder, name));
    const schema = read(join(root, `libs/contracts/schemas/${String(message['type'])}.v1.json`));
    const validate = new Ajv2020({ strict: false }).compile(schema);
    validate(message);
    expect(validate.errors ?? []).toEqual([]);
  });

  it.each(names)('%s may have fields that we do not know yet', (name) => {
    const message = read(join(folder, name));
    const { type } = message;
    expect(isMessageType(type) && messageSchemas[type].safeParse({ ...message, ofTheFuture: true }).success).toBe(true);
  });
});

describe('docs/protocol.md', () => {
  it('shows the rights on NATS that the tests run with', () => {
    const quoted = (text: string): string[] => [...text.matchAll(/"((?:dynflow|_I|\$JS)\.[^"]*)"/g)].map(([, subject = '']) => subject);
    const [, shown = ''] = /```\n(authorization .*?)```/s.exec(readFileSync(join(root, 'docs/protocol.md'), 'utf8')) ?? [];
    expect(quoted(shown)).toEqual(quoted(natsUsers(['example_greeting'])));
  });
});

describe('the collection', () => {
  it('has every type of message', () => {
    const types = new Set(names.map((name) => read(join(folder, name))['type']));
    expect(types).toEqual(new Set(Object.keys(messageSchemas)));
  });

  it('is what docs/protocol.md shows, each message once', () => {
    const shown = shownIn('docs/protocol.md');
    expect(shown).toHaveLength(names.length);
    expect(new Map(shown.map(({ name, shown: message }) => [name, message]))).toEqual(
      new Map(names.map((name) => [name, read(join(folder, name))])),
    );
  });

  it('has secrets that open with their key, and are those of the messages', async () => {
    const { privateKey, sealed, opened } = read(join(import.meta.dirname, 'sealed-secrets.json')) as {
      privateKey: JWK;
      sealed: string;
      opened: unknown;
    };
    const { plaintext } = await compactDecrypt(sealed, await importJWK(privateKey, 'ECDH-ES+A256KW'));
    expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual(opened);
    expect(read(join(folder, 'claim.json'))['publicKey']).toMatchObject({ x: privateKey.x, y: privateKey.y });
    expect(JSON.stringify(read(join(folder, 'claim.answer.json')))).toContain(sealed);
  });
});
