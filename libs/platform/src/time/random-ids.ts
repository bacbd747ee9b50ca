import { randomUUID } from 'node:crypto';
import type { IdSource } from '@dynflow/kernel';

/** Identifiers of version 4: 122 random bits each. */
export class RandomIds implements IdSource {
  uuid(): string {
    return randomUUID();
  }
}
