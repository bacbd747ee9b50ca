import { messageOf } from '@dynflow/kernel';
import type { PlanPhases } from '@dynflow/engine';
import type { GatewayMiddleware, PhasedPlan, PluginLog } from '@dynflow/plugin';

/** Lets the gateway's middleware stand around the planning and the finalize phase of plans. */
export class PhaseHost implements PlanPhases {
  readonly wrapsPlanning: boolean;
  readonly #planning: readonly GatewayMiddleware[];
  readonly #finalizing: readonly GatewayMiddleware[];
  readonly #log: PluginLog;
  /** What ends the finalize phases that are under way. */
  readonly #ends = new Map<string, () => void>();

  /** @param world the outermost first. */
  constructor(world: readonly GatewayMiddleware[], log: PluginLog) {
    this.#planning = world.filter(({ planPhase }) => planPhase !== undefined);
    this.#finalizing = world.filter(({ finalizePhase }) => finalizePhase !== undefined);
    this.wrapsPlanning = this.#planning.length > 0;
    this.#log = log;
  }

  async planPhase(plan: PhasedPlan, pass: () => Promise<string[]>): Promise<void> {
    let names: string[] = [];
    const from = async (level: number): Promise<string[]> => {
      const around = this.#planning[level];
      if (around?.planPhase === undefined) {
        return pass();
      }
      await around.planPhase(async () => {
        names = await from(level + 1);
        return names;
      }, plan);
      return names;
    };
    await from(0);
  }

  finalizeBegins(plan: PhasedPlan): void {
    if (this.#finalizing.length === 0) {
      return;
    }
    const ended = new Promise<void>((resolve) => {
      // Of a phase that begins again after a resume, the first one is over.
      this.#ends.get(plan.id)?.();
      this.#ends.set(plan.id, resolve);
    });
    const from = async (level: number): Promise<void> => {
      const around = this.#finalizing[level];
      return around?.finalizePhase === undefined ? ended : around.finalizePhase(async () => from(level + 1), plan);
    };
    // What stands before each `pass` happens now, before any executor hears of a step.
    from(0).catch((error: unknown) =>
      this.#log.error('a middleware around the finalize phase failed; nothing else is changed by that', {
        plan: plan.id,
        reason: messageOf(error),
      }),
    );
  }

  finalizeEnds(plan: string): void {
    this.#ends.get(plan)?.();
    this.#ends.delete(plan);
  }
}
