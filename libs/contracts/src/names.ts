import { z } from 'zod';

/** A name that may stand as one token of a subject: plugin, queue, site, executor id. No dot, no space, no wildcard. */
export const SubjectToken = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,100}$/, 'expected 1 to 100 letters, digits, "_" or "-" (it becomes a part of a subject)');

/** The full name of an action: `<plugin>.<Action>`, for example `dynflow_foreman_remote_execution.RunScript`. */
export const ActionName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,100}\.[A-Za-z][A-Za-z0-9_]{0,99}$/, 'expected "<plugin>.<Action>", for example "example.Greet"');

/** The plugin of a full action name: everything before the dot. */
export function pluginOf(action: string): string {
  return action.slice(0, action.indexOf('.'));
}
