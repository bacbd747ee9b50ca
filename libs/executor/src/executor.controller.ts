import { Controller, Inject } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { GrantV1, HttpAnswerV1, HttpRequestV1, PlanAnswerV1, PlanRequestV1 } from '@dynflow/contracts';
import type { InvocationOutcome } from '@dynflow/plugin';
import { PluginHost } from './plugin-host.js';
import { StepContext } from './step-context.js';

/** What {@link ExecutorTransport} hands on to the plugin, so that Nest's interceptors, guards and filters apply to it. */
@Controller()
export class ExecutorController {
  constructor(@Inject(PluginHost) private readonly host: PluginHost) {}

  @MessagePattern('step')
  async step(@Payload() grant: GrantV1, @Ctx() context: StepContext): Promise<InvocationOutcome> {
    return this.host.run(grant, context.run);
  }

  @MessagePattern('plan')
  async plan(@Payload() request: PlanRequestV1): Promise<PlanAnswerV1> {
    return this.host.plan(request);
  }

  @MessagePattern('http')
  async http(@Payload() request: HttpRequestV1): Promise<HttpAnswerV1> {
    return this.host.http(request);
  }
}
