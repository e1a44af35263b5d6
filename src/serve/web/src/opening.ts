// What a map shows when it opens: the nearest thing to what is wanted that there is.

import type { Forecast } from "./api.ts";
import * as members from "./members.ts";
import type { PaneChoice } from "./permalink.ts";
import type { Camera } from "./pictures.ts";
import { nearest } from "./timeline.ts";
import { variableOf } from "./titles.ts";

/** Where a map of the whole world opens. */
export const OPENING: Camera = { zoom: 1.2, lat: 30, lon: 10 };

/** What a run is shown with first: temperature, where it has that. */
const usual = ({ variables }: Forecast) =>
  variables.find(({ standard_name }) => standard_name === "air_temperature") ?? variables[0]!;

/** A choice that this run has; what is not wanted stays as it was, where it can. */
export function settled(forecast: Forecast, wanted: Partial<PaneChoice>, before: Partial<PaneChoice> = {}): PaneChoice {
  const known = (name: string | undefined) => (name ? variableOf(forecast, name) : undefined);
  const variable = known(wanted.variable) ?? known(before.variable) ?? usual(forecast);
  const levels = [wanted.level, before.level, "500hPa"];
  const level = levels.find((one) => one && variable.levels.includes(one)) ?? variable.levels[0]!;
  const member = wanted.member ?? before.member ?? members.CONTROL;
  return {
    forecast: wanted.forecast ?? before.forecast ?? forecast.id,
    variable: variable.name,
    level,
    member: members.choices(forecast, variable, level).includes(member) ? member : members.CONTROL,
    difference: wanted.difference ?? before.difference ?? false,
  };
}

/** The published step that is nearest to a time. */
export function stepFor({ leads, steps_complete }: Forecast, time: string | null): number {
  return Math.min(Math.max(0, steps_complete - 1), nearest(leads, time));
}
