// What models, runs and fields are called.

import type { Forecast, Run, Variable } from "./api.ts";
import * as format from "./format.ts";

/** A run's variables by their names. */
export const variableOf = (forecast: Forecast, name: string) =>
  forecast.variables.find((variable) => variable.name === name);

/** What a run is called without its time: that is named beside it. */
export const modelTitle = ({ title, model }: Run) => title.replace(/, forecast from .*$/, "") || model;

export const runTime = (run: Run) => format.run(new Date(run.reference_time));

/** Whether the planet is ours: another one has no coasts to draw. */
export const isEarth = (forecast: Forecast) => (forecast.provenance.planet ?? "earth") === "earth";

export const fieldTitle = ({ long_name, name }: Variable, level: string) =>
  `${format.capital(long_name || name)}${level === "surface" ? "" : `, ${format.level(level)}`}`;
