import { encodeFlow, decodeFlow, type ActionRow, type PlanRow, type StepRow, type StoredPlan } from '@dynflow/engine';
import type { JsonObject, JsonValue } from '@dynflow/kernel';

/** A plan as it is committed, with what tests like to ask. */
export class PlanRecord {
  readonly row: PlanRow;
  readonly steps: readonly StepRow[];
  readonly actions: readonly ActionRow[];

  constructor(stored: StoredPlan) {
    this.row = stored.plan;
    this.steps = stored.steps;
    this.actions = stored.actions;
  }

  get state(): PlanRow['state'] {
    return this.row.state;
  }

  get result(): PlanRow['result'] {
    return this.row.result;
  }

  /** State and result in one word, as the specifications write it: `stopped/success`. */
  get verdict(): string {
    return `${this.row.state}/${this.row.result}`;
  }

  get history(): string[] {
    return this.row.history.map(({ name }) => name);
  }

  get runFlow(): JsonValue {
    return encodeFlow(decodeFlow(this.row.runFlow));
  }

  get finalizeFlow(): JsonValue {
    return this.row.finalizeFlow;
  }

  /** States of all steps, in the order of their ids. */
  get states(): string[] {
    return this.steps.map(({ state }) => state);
  }

  /** @throws Error for an unknown id. */
  step(id: number): StepRow {
    const step = this.steps[id - 1];
    if (step === undefined) {
      throw new Error(`plan ${this.row.id} has no step ${id}`);
    }
    return step;
  }

  /** @throws Error for an unknown id. */
  action(id: number): ActionRow {
    const action = this.actions[id - 1];
    if (action === undefined) {
      throw new Error(`plan ${this.row.id} has no action ${id}`);
    }
    return action;
  }

  /** Output of the action with this id. */
  output(action = 1): JsonObject {
    return this.action(action).output;
  }
}
