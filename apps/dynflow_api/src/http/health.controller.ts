import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { send } from './plugin-routes.js';

/** What the gateway knows of its own state. */
export interface Health {
  /** Empty when the service can do its work; otherwise what is missing, each with a reason. */
  faults(): Promise<{ part: string; reason: string }[]>;
  /** What is held on purpose: the service is ready all the same. */
  holds(): { newWork: string | null; plans: number };
  /** In the text format of Prometheus. */
  metrics(): Promise<string>;
}

export const HEALTH = Symbol('Health');

@Controller()
export class HealthController {
  constructor(@Inject(HEALTH) private readonly health: Health) {}

  /** Alive: the process answers. Restarting it would not help with anything else. */
  @Get('healthz')
  alive(@Res() reply: FastifyReply): void {
    send(reply, { status: 200, json: { status: 'ok' } });
  }

  /** Ready: requests can be served now. */
  @Get('readyz')
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const faults = await this.health.faults();
    if (faults.length > 0) {
      send(reply, { status: 503, json: { status: 'not ready', faults } });
      return;
    }
    const held = this.health.holds();
    const holds = held.newWork === null && held.plans === 0 ? {} : { held };
    send(reply, { status: 200, json: { status: 'ok', ...holds } });
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metrics(): Promise<string> {
    return this.health.metrics();
  }
}
