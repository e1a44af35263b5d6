// The panel: which model, run, variable and level, and what is drawn over it.

import * as api from "./api.ts";
import type { App } from "./app.ts";
import { choose, fill, find } from "./dom.ts";
import * as format from "./format.ts";
import { isolinesOf } from "./isolines.ts";
import * as members from "./members.ts";
import { LATEST } from "./runlist.ts";
import { isEarth, modelTitle, runTime, variableOf } from "./titles.ts";
import { windOf } from "./wind.ts";

export function draw(app: App) {
  drawRuns(app);
  drawChoices(app);
  drawProgress(app);
}

export function drawRuns({ runs, views, active }: App) {
  const { forecast, choice } = views[active] ?? {};
  const models = [...new Map(runs.all.map((run) => [run.model, run])).values()];
  const modelItems = models.map((run) => ({ value: run.model, text: modelTitle(run), title: run.model }));
  fill(find<HTMLSelectElement>("#model"), modelItems, forecast?.model ?? "");
  find("#model-field").classList.toggle("single", models.length < 2);
  const model = forecast?.model ?? runs.all[0]?.model ?? "";
  const items = runs.ofModel(model).map((run) => {
    const steps = run.state === "complete" ? "" : ` · ${run.steps_complete}/${run.steps_total}`;
    const text = `${runTime(run)}${steps}${run.state === "failed" ? " failed" : ""}`;
    return { value: run.id, text, title: `${run.title} (${run.model}), run ${run.run_key}` };
  });
  const newest = runs.newest(model);
  const latest = newest && {
    value: model + LATEST,
    text: `Latest: ${runTime(newest)}`,
    title: "Always the newest run",
  };
  fill(find<HTMLSelectElement>("#run"), latest ? [latest, ...items] : items, choice?.forecast ?? "");
}

function drawChoices(app: App) {
  const { forecast, choice } = app.view;
  if (!forecast) return;
  const variables = forecast.variables.map((variable) => ({
    value: variable.name,
    text: format.capital(variable.long_name || variable.name),
    title: `${variable.name}: ${variable.standard_name || variable.long_name}, ${variable.units}`,
  }));
  choose(find("#variables"), "Variable", variables, choice.variable, (variable) => app.pickField({ variable }));
  const levels = variableOf(forecast, choice.variable)?.levels ?? [];
  find("#level-set").hidden = levels.length === 1 && levels[0] === "surface";
  const items = levels.map((level) => ({ value: level, text: format.level(level), title: format.level(level) }));
  choose(find("#levels"), "Level", items, choice.level, (level) => app.pickField({ level }));
  drawMembers(app);
  const [wind, lines] = [windOf(forecast, choice.level), isolinesOf(forecast, choice.level)];
  toggle("#wind", app.overlays.wind, typeof wind === "string" ? wind : "");
  toggle("#lines", app.overlays.lines, typeof lines === "string" ? lines : "");
  find("#lines + span").textContent = typeof lines === "string" ? "Isobars" : lines.name;
  const alone = app.runs.before(forecast) ? "" : "There is no earlier run of this model";
  toggle("#difference", choice.difference, alone);
  toggle("#coasts", app.coasts, isEarth(forecast) ? "" : "This planet has no land");
  find("#split").setAttribute("aria-pressed", String(app.views.length > 1));
}

function drawMembers({ view: { forecast, choice } }: App) {
  const variable = forecast && variableOf(forecast, choice.variable);
  if (!variable) return;
  const all = members.choices(forecast, variable, choice.level);
  find("#member-field").hidden = all.length < 2;
  const items = all.map((value) => ({ value, text: members.title(value, variable), title: "" }));
  fill(find<HTMLSelectElement>("#member"), items, choice.member);
}

/** A box to check, or why it cannot be. */
function toggle(selector: string, on: boolean, why: string) {
  const box = find<HTMLInputElement>(selector);
  Object.assign(box, { checked: on && why === "", disabled: why !== "" });
  box.parentElement!.title = why;
}

function drawProgress({ view: { forecast } }: App) {
  if (!forecast) return;
  const { state, steps_complete, steps_total, failure_reason } = forecast;
  const box = find("#progress");
  box.hidden = state === "complete";
  box.classList.toggle("failed", api.over(state));
  find<HTMLProgressElement>("progress", box).value = steps_complete / Math.max(1, steps_total);
  const steps = `${steps_complete} of ${steps_total}`;
  find(".text", box).textContent = api.over(state) ? `stopped at ${steps}` : `${steps} steps`;
  box.title = failure_reason ?? "";
  document.title = `${runTime(forecast)} · ${modelTitle(forecast)} · vejr`;
}

/** The button that says which zone times are in. */
export function drawZone(zone: format.Zone) {
  const name = zone === "utc" ? "UTC" : "Local";
  find("#zone").textContent = name;
  find("#zone").setAttribute("aria-label", `Times in ${name}: switch`);
}
