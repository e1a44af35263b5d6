// An ensemble at a place: the middle of its members and how far they spread.

import type { SeriesValue } from "./api.ts";

/** Parts of the members below each curve, lowest first; the third is the median. */
export const QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9];

/** A quantile of sorted values, linear between them. */
export function quantile(sorted: number[], part: number): number {
  const at = part * (sorted.length - 1);
  const below = Math.floor(at);
  const [low, high] = [sorted[below]!, sorted[Math.min(sorted.length - 1, below + 1)]!];
  return low + (high - low) * (at - below);
}

export interface Curves {
  /** The single forecast, or the median. */
  middle: (number | null)[];
  /** Of an ensemble, one curve for each of [`QUANTILES`]; none where there are no members. */
  quantiles: (number | null)[][];
  /** Of an ensemble, the member that was chosen. */
  own: (number | null)[] | null;
}

/** Curves at the given lead times (seconds), in shown units; null where nothing is published or known. */
export function curves(seconds: number[], values: SeriesValue[], show: (value: number) => number): Curves {
  const at = new Map(values.map((value) => [value.seconds, value]));
  const found = seconds.map((second) => at.get(second));
  const single = (value: number | null | undefined) => (value === null || value === undefined ? null : show(value));
  const own = found.map((value) => single(value?.value));
  if (!values.some(({ members }) => members && members.length > 1)) return { middle: own, quantiles: [], own: null };
  const sorted = found.map((value) => {
    const there = (value?.members ?? []).filter((member) => member !== null);
    return there.map(show).sort((a, b) => a - b);
  });
  const curve = (part: number) => sorted.map((members) => (members.length > 0 ? quantile(members, part) : null));
  const quantiles = QUANTILES.map(curve);
  return { middle: quantiles[2]!, quantiles, own };
}
