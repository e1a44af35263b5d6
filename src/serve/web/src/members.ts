// Of an ensemble: its members, and what is made of them. Names are those that the server takes: a number, `mean`, `spread`,
// `q90`, `above_273.15`, or `850hPa_above_280`. An empty name is the control, or a single forecast.

import type { Forecast, Variable } from "./api.ts";

export const CONTROL = "";

/** Whether it is made of the members, and none of them. */
export const isStatistic = (member: string) => member !== CONTROL && !/^\d+$/.test(member);

/** What can be shown of a variable at a level: first the control, then statistics, then the other members. */
export function choices({ members = 0 }: Forecast, { statistics = [] }: Variable, level: string): string[] {
  if (members < 2) return [CONTROL];
  const here = statistics.filter((name) => {
    const of = /^(.+)_above_/.exec(name)?.[1];
    return of === undefined || of === level;
  });
  return [CONTROL, ...here, ...Array.from({ length: members - 1 }, (_, i) => String(i + 1))];
}

/** Barbs and lines over a field are of the same member; over what is made of all members, of their mean. */
export function over(member: string, { statistics = [] }: Variable): string {
  if (!isStatistic(member)) return member;
  return statistics.includes("mean") ? "mean" : CONTROL;
}

/** What it is called, with thresholds in the variable's units. */
export function title(member: string, { units }: Variable): string {
  const [, part] = /^q([\d.]+)$/.exec(member) ?? [];
  const [, threshold] = /above_(.+)$/.exec(member) ?? [];
  if (member === CONTROL) return "Control";
  if (member === "mean") return "Mean";
  if (member === "spread") return "Spread";
  if (part === "50") return "Median";
  if (part) return `${part} % quantile`;
  if (threshold) return `Probability above ${threshold} ${units}`;
  return `Member ${member}`;
}
