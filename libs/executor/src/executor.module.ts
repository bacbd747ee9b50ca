import { Module, type DynamicModule } from '@nestjs/common';
import { ExecutorController } from './executor.controller.js';
import { PluginHost } from './plugin-host.js';

/** The Nest side of an executor: one controller in front of one plugin. */
@Module({})
export class ExecutorModule {
  static forPlugin(host: PluginHost): DynamicModule {
    return {
      module: ExecutorModule,
      controllers: [ExecutorController],
      providers: [{ provide: PluginHost, useValue: host }],
    };
  }
}
