import { z } from 'zod';

/** `DYNFLOW_GREETING_SALUTATION` in the environment, `greeting: { salutation: … }` in the configuration file. */
export const settingsSchema = z.object({
  salutation: z.string().min(1).default('Hello'),
});

export type Settings = z.output<typeof settingsSchema>;

/** What the plugin makes once at start, and every run gets as `context.services`. */
export interface Services {
  settings: Settings;
}
