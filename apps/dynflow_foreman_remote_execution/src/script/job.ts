import { InvalidInputError } from '@dynflow/kernel';
import { z } from 'zod';

/** Foreman sends settings that were typed as text, too. */
const flag = z
  .union([z.boolean(), z.enum(['true', 'True', 'TRUE', '1', 'false', 'False', 'FALSE', '0'])])
  .transform((value) => (typeof value === 'boolean' ? value : ['true', 'True', 'TRUE', '1'].includes(value)));
const optionalText = z
  .string()
  .nullish()
  .transform((value) => (value === '' ? undefined : (value ?? undefined)));

// Not coerced: what a schema says in JSON must be what is taken here, and a coerced number says "number" there.
const portText = /^([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])?$/;

/** Credentials of one job. They go to the login or to the switch of user, nowhere else. */
export interface JobSecrets {
  readonly ssh_password?: string | undefined;
  readonly key_passphrase?: string | undefined;
  readonly effective_user_password?: string | undefined;
}

/**
 * What one host's job needs, under the names that Foreman sends. Unknown keys are dropped; `null` and an empty text mean "not given",
 * save for `script`.
 */
export const scriptJobSchema = z.object({
  hostname: z.string().min(1),
  script: z.string(),
  ssh_user: optionalText.transform((user) => user ?? 'root'),
  ssh_port: z
    .union([z.int().min(1).max(65_535), z.string().regex(portText, 'expected a port, 1 to 65535')])
    .nullish()
    .transform((port) => Number(port) || 22),
  effective_user: optionalText,
  effective_user_method: optionalText.transform((method) => method ?? 'sudo'),
  /** Seconds, counted from before the connection is made; 0 or nothing: no limit. */
  execution_timeout_interval: z
    .union([z.number().min(0), z.string().regex(/^(\d+(\.\d+)?)?$/, 'expected a number of seconds')])
    .nullish()
    .transform((seconds) => Number(seconds) || undefined),
  cleanup_working_dirs: flag.nullish().transform((value) => value ?? true),
  remote_working_dir: optionalText.transform((dir) => dir?.trim() ?? '/var/tmp'),
  first_execution: flag.nullish().transform((value) => value ?? false),
  secrets: z
    .object({ ssh_password: optionalText, key_passphrase: optionalText, effective_user_password: optionalText })
    .nullish()
    .transform((secrets): JobSecrets => secrets ?? {}),
});

export type ScriptJob = z.output<typeof scriptJobSchema>;

/** The same keys without a default: what a job leaves out, the service's settings say. */
export const settableJobKeys = {
  ssh_user: optionalText,
  cleanup_working_dirs: flag.nullish(),
  remote_working_dir: optionalText.transform((dir) => dir?.trim()),
};

/**
 * Reads an action's input.
 *
 * @throws InvalidInputError naming the first field that does not fit. Never quotes a value: it may be a secret.
 */
export function parseScriptJob(input: unknown): ScriptJob {
  const parsed = scriptJobSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidInputError(issue?.path.join('.') || 'input', issue?.message ?? 'an object was expected');
}
