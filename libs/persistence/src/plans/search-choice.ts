import type { PlanFilter } from '@dynflow/contracts';
import type { Dialect } from '../entities/dialect.js';
import { allOf, isOneOf, leadsOf, leading, manyOf, type Lead, type RunSearch } from './search-filter.js';

/** So many plans are sorted or looked at one by one without anybody noticing. */
export const FEW = 5_000;

/** So many labels are looked through for a part of one. */
const LABELS = 1_000;

/**
 * Chooses by which condition of a filter plans are found.
 *
 * SQLite has no idea of how many rows a word leaves, so it is counted, as far as a few thousand. PostgreSQL knows, and chooses by itself.
 */
export class SearchChoice {
  readonly #dialect: Dialect;
  readonly #run: RunSearch;
  readonly #few: number;

  constructor(dialect: Dialect, run: RunSearch, few: number) {
    this.#dialect = dialect;
    this.#run = run;
    this.#few = few;
  }

  /** `isCovered` tells whether a lead's index has the plans in the order asked; `canWalk`, whether an index of all plans has. */
  async leadOf(filter: PlanFilter, isCovered: (lead: Lead) => boolean, canWalk: boolean): Promise<Lead | null> {
    const leads = leadsOf(filter);
    const [first = null] = leads;
    if (this.#dialect === 'postgres' || first === null || (leads.length === 1 && isCovered(first))) {
      return first;
    }
    let best: Lead | null = null;
    let least = this.#few + 1;
    for (const lead of leads) {
      const size = await this.#sizeOf(lead);
      if (size < least) {
        [best, least] = [lead, size];
      }
    }
    return best ?? leads.find(isCovered) ?? (canWalk ? null : first);
  }

  /** The same filter with labels in place of a part of one, where there are not too many. */
  async withLabels(filter: PlanFilter): Promise<PlanFilter> {
    const { labelContains, ...others } = filter;
    if (labelContains === undefined) {
      return filter;
    }
    const labels = filter.label === undefined ? await this.#labels() : manyOf(filter.label);
    const part = labelContains.toLowerCase();
    return labels === null ? filter : { ...others, label: labels.filter((label) => label.toLowerCase().includes(part)) };
  }

  /** All labels, each found from the one before it; null if there are too many. */
  async #labels(): Promise<string[] | null> {
    const rows = await this.#run<{ label: string | null }>({
      text:
        'WITH RECURSIVE labels (label) AS (SELECT (SELECT min(label) FROM dynflow_execution_plans) UNION ALL ' +
        'SELECT (SELECT min(plan.label) FROM dynflow_execution_plans AS plan WHERE plan.label > labels.label) FROM labels ' +
        'WHERE labels.label IS NOT NULL) SELECT label FROM labels LIMIT ?',
      values: [LABELS + 2],
    });
    const labels = rows.flatMap(({ label }) => label ?? []);
    return labels.length > LABELS ? null : labels;
  }

  async #sizeOf(lead: Lead): Promise<number> {
    const { text, values } =
      lead.name === 'attribute'
        ? allOf([{ text: 'name = ?', values: [lead.attribute ?? ''] }, isOneOf(this.#dialect, 'value', lead.words)])
        : allOf(leading(this.#dialect, lead, lead.words).where);
    const from = lead.name === 'attribute' ? 'dynflow_plan_attributes' : 'dynflow_execution_plans AS plan';
    const [row] = await this.#run<{ count: number }>({
      text: `SELECT count(*) AS count FROM (SELECT 1 FROM ${from}${text} LIMIT ${this.#few + 1}) AS some`,
      values,
    });
    return row?.count ?? 0;
  }
}
