import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { send } from './plugin-routes.js';

/** What the gateway knows of its own state. */
export interface Health {
  /** Empty when the service can do its work; otherwise what is missing, each with a reason. */
  faults(): Promise<{ part: string; reason: string }[]>;
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
    send(reply, faults.length === 0 ? { status: 200, json: { status: 'ok' } } : { status: 503, json: { status: 'not ready', faults } });
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metrics(): Promise<string> {
    return this.health.metrics();
  }
}
