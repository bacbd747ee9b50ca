import { nameOfPoint } from '@dynflow/testing/faults';
import type { Campaign, Kill } from './campaign.js';

/** A line for each method of a port, and the sums. */
export function tableOf({ points, takeovers, kills }: Campaign): string {
  const [first, second] = [kills.filter(({ after }) => after === null), kills.filter(({ after }) => after !== null)];
  const calls = [...new Set(points.map(({ call }) => call))].toSorted();
  const rows = calls.map((call) => {
    const mine = first.filter(({ point }) => point.call === call);
    return [call, points.filter((point) => point.call === call).length, ...countsOf(mine)];
  });
  const lines = [
    ['port and method', 'points', 'kills', 'not met', 'faults'],
    ...rows,
    ['all', points.length, ...countsOf(first)],
    ['of those who took over from a killed one', takeovers.length, ...countsOf(second)],
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => String(line[column]).length)));
  return lines
    .map((line) =>
      line.map((cell, column) => (column === 0 ? String(cell).padEnd(widths[0]!) : String(cell).padStart(widths[column]!))).join('  '),
    )
    .join('\n');
}

/** Every complaint with the point at which the process was killed. */
export function faultsOf({ kills }: Campaign): string[] {
  return kills.flatMap((kill) => kill.complaints.map((complaint) => `${nameOfKill(kill)}: ${complaint}`));
}

/** Where it was, and after which other one. */
export function nameOfKill({ point, after }: Kill): string {
  return `${after === null ? '' : `${nameOfPoint(after)}, then `}${nameOfPoint(point)}`;
}

function countsOf(kills: Campaign['kills']): number[] {
  return [kills.length, kills.filter(({ isReached }) => !isReached).length, kills.filter(({ complaints }) => complaints.length > 0).length];
}
