import { z } from 'zod';

/** Where Foreman is, and who we are to it. In the environment: `DYNFLOW_FOREMAN_URL`, `DYNFLOW_FOREMAN_SSL_CERT`, … */
export const ForemanSettings = z.object({
  url: z
    .url({ protocol: /^https?$/ })
    .nullish()
    .describe('address of Foreman, to which results are sent'),
  ssl_cert: z.string().nullish().describe('PEM file of the client certificate for Foreman; default: the service’s own'),
  ssl_key: z.string().nullish().describe('PEM file of its key'),
  ssl_ca: z.string().nullish().describe('PEM file of the authority that signed Foreman’s certificate'),
});
export type ForemanSettings = z.output<typeof ForemanSettings>;
