import { createRequire } from 'node:module';
import { definePlugin } from '@dynflow/plugin';
import { Callback, POST_CALLBACK } from './callback/callback.js';
import { postCallback } from './callback/post-callback.js';
import { Batch } from './launchers/batch.js';
import { featureRoutes } from './routes/feature-routes.js';
import { OneTimePasswords } from './routes/one-time-passwords.js';
import { taskRoutes } from './routes/task-routes.js';
import { ForemanSettings } from './settings.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** The plugin for Foreman: its dialect of HTTP, launchers, callbacks, feature pages. It runs inside the gateway. */
export const plugin = definePlugin({
  name: 'dynflow_foreman_tasks',
  version,
  settings: { section: 'foreman', schema: ForemanSettings },
  gateway: {
    actions: [Batch, Callback],
    effects: (settings, context) => ({ [POST_CALLBACK]: postCallback(settings, context) }),
    routes: (gateway) => [...taskRoutes(gateway, new OneTimePasswords()), ...featureRoutes(gateway)],
  },
});
