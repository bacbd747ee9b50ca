import { nameOfPoint } from '@dynflow/testing/faults';
import type { Campaign } from './campaign.js';

/** A line for each method of a port, and the sums. */
export function tableOf({ points, kills }: Campaign): string {
  const calls = [...new Set(points.map(({ call }) => call))].toSorted();
  const rows = calls.map((call) => {
    const mine = kills.filter(({ point }) => point.call === call);
    return [call, points.filter((point) => point.call === call).length, ...countsOf(mine)];
  });
  const lines = [['port and method', 'points', 'kills', 'not met', 'faults'], ...rows, ['all', points.length, ...countsOf(kills)]];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => String(line[column]).length)));
  return lines
    .map((line) =>
      line.map((cell, column) => (column === 0 ? String(cell).padEnd(widths[0]!) : String(cell).padStart(widths[column]!))).join('  '),
    )
    .join('\n');
}

/** Every complaint with the point at which the process was killed. */
export function faultsOf({ kills }: Campaign): string[] {
  return kills.flatMap(({ point, complaints }) => complaints.map((complaint) => `${nameOfPoint(point)}: ${complaint}`));
}

function countsOf(kills: Campaign['kills']): number[] {
  return [kills.length, kills.filter(({ isReached }) => !isReached).length, kills.filter(({ complaints }) => complaints.length > 0).length];
}
