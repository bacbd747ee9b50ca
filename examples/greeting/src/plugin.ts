import { definePlugin } from '@dynflow/plugin';
import { greet } from './greet.js';
import { settingsSchema, type Services } from './settings.js';

export const plugin = definePlugin<typeof settingsSchema, Services>({
  name: 'example_greeting',
  version: '0.1.0',
  settings: { section: 'greeting', schema: settingsSchema },
  actions: [greet],
  operations: [{ name: 'greeting', launcher: 'single', action: 'example_greeting.Greet' }],
  features: (settings) => [{ name: 'greeting', capabilities: ['polite'], settings: { salutation: settings.salutation } }],
  routes: [
    {
      method: 'GET',
      path: '/greeting/salutation',
      access: 'open',
      summary: 'How people are greeted here',
      handle: async (_request, services) =>
        Promise.resolve({ headers: { 'content-type': 'text/plain; charset=utf-8' }, body: services.settings.salutation }),
    },
  ],
  start: async ({ settings }) => Promise.resolve({ settings }),
});
