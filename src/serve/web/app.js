// The page: what is chosen, and who shows it.

import * as api from "./api.js";
import * as format from "./format.js";
import { attach, moveByKey } from "./gestures.js";
import { Legend } from "./legend.js";
import { MapView } from "./map.js";
import { Meteogram } from "./meteogram.js";
import * as permalink from "./permalink.js";
import { Timeline } from "./timeline.js";

const POLL_RUN_MS = 2000;
const POLL_LIST_MS = 10_000;
const PREFETCH = 3;

const find = (selector) => document.querySelector(selector);
const map = new MapView(find("#map"));
const legend = new Legend(find("#legend"));
const meteogram = new Meteogram(find("#meteogram"));
const timeline = new Timeline(find("#timeline"), note);

/** What is chosen: the forecast as the API tells it, a variable of it, one of its levels, and a place. */
const chosen = { forecast: null, variable: null, level: null, point: null };
let runs = [];
/** Counts choices: an answer to an earlier one comes too late. */
let choice = 0;

// --- telling the person ---

let noteTimer;
function note(text) {
  const box = find("#note");
  box.textContent = text;
  box.classList.add("on");
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => box.classList.remove("on"), 3200);
}

function message(title, text, retry) {
  const box = find("#message");
  box.hidden = title === null;
  if (title === null) return;
  box.querySelector("strong").textContent = title;
  box.querySelector("p").textContent = text;
  const button = box.querySelector("button");
  button.hidden = !retry;
  button.onclick = retry;
}

let busyTimer;
function busy(is) {
  // what takes less than a blink needs no sign
  clearTimeout(busyTimer);
  if (is) busyTimer = setTimeout(() => (find("#busy").hidden = false), 250);
  else find("#busy").hidden = true;
}

// --- choosing ---

function chips(box, name, items, current, pick) {
  box.replaceChildren(
    ...items.map(({ value, text, title }) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name, value, checked: value === current });
      input.addEventListener("change", () => pick(value));
      label.title = title;
      label.append(input, Object.assign(document.createElement("span"), { textContent: text }));
      return label;
    }),
  );
  box.querySelector("input:checked")?.parentElement.scrollIntoView({ block: "nearest", inline: "center" });
}

const variableNamed = (name) => chosen.forecast.variables.find((variable) => variable.name === name);
const title = () => {
  const { long_name, name } = variableNamed(chosen.variable);
  return `${format.capital(long_name || name)}${chosen.level === "surface" ? "" : `, ${format.level(chosen.level)}`}`;
};

function drawRuns() {
  const select = find("#run");
  const models = new Set(runs.map((run) => run.model)).size;
  select.replaceChildren(
    ...runs.map((run) => {
      const when = format.run(new Date(run.reference_time));
      const steps = run.state === "complete" ? "" : ` · ${run.steps_complete}/${run.steps_total}${run.state === "failed" ? " failed" : ""}`;
      const option = new Option(`${models > 1 ? `${run.title || run.model} · ` : ""}${when}${steps}`, run.id);
      option.title = `${run.title} (${run.model}), run ${run.run_key}`;
      return option;
    }),
  );
  if (chosen.forecast) select.value = chosen.forecast.id;
  select.disabled = runs.length === 0;
}

function drawProgress() {
  const { state, steps_complete, steps_total, failure_reason } = chosen.forecast;
  const box = find("#progress");
  box.hidden = state === "complete";
  box.classList.toggle("failed", state === "failed");
  box.querySelector("i").style.width = `${(100 * steps_complete) / Math.max(1, steps_total)}%`;
  const text = state === "failed" ? `stopped at ${steps_complete} of ${steps_total}` : `${steps_complete} of ${steps_total} steps`;
  box.querySelector(".text").textContent = text;
  box.title = failure_reason ?? "";
}

function drawChoices() {
  const { variables } = chosen.forecast;
  const items = variables.map((variable) => ({
    value: variable.name,
    text: format.capital(variable.long_name || variable.name),
    title: `${variable.name}: ${variable.standard_name || variable.long_name}, ${variable.units}`,
  }));
  chips(find("#variables"), "variable", items, chosen.variable, pickVariable);
  const { levels } = variableNamed(chosen.variable);
  find("#level-set").hidden = levels.length === 1 && levels[0] === "surface";
  const levelItems = levels.map((level) => ({ value: level, text: format.level(level), title: format.level(level) }));
  chips(find("#levels"), "level", levelItems, chosen.level, pickLevel);
}

function pickVariable(name) {
  const { levels } = variableNamed(name);
  chosen.variable = name;
  if (!levels.includes(chosen.level)) chosen.level = levels.includes("500hPa") ? "500hPa" : levels[0];
  drawChoices();
  refresh();
}

function pickLevel(level) {
  chosen.level = level;
  drawChoices();
  refresh();
}

/** The level above (-1) or below (+1), as they are listed. */
function moveLevel(direction) {
  const { levels } = variableNamed(chosen.variable);
  const ascending = [...levels].sort((a, b) => parseFloat(a) - parseFloat(b));
  const next = ascending[ascending.indexOf(chosen.level) + direction];
  if (next) pickLevel(next);
}

async function pickRun(id, wanted = {}) {
  const mine = ++choice;
  timeline.stop();
  busy(true);
  try {
    const forecast = await api.forecast(id);
    if (mine !== choice) return;
    chosen.forecast = forecast;
    const variable = variableNamed(wanted.variable ?? chosen.variable) ?? forecast.variables[0];
    chosen.variable = variable.name;
    const level = wanted.level ?? chosen.level;
    chosen.level = variable.levels.includes(level) ? level : variable.levels.includes("500hPa") ? "500hPa" : variable.levels[0];
    const lead = wanted.lead ?? timeline.current?.lead;
    timeline.step = Math.max(0, forecast.leads.findIndex((other) => other.lead === lead));
    message(null);
    drawRuns();
    drawRun();
    drawChoices();
    measure();
    showArea(forecast.grid, wanted.view);
    if (timeline.published === 0) {
      map.clear();
      note("This run has not published a step yet; the map fills in when it does.");
      return;
    }
    await refresh();
  } catch (error) {
    if (mine === choice) message("This run cannot be shown", error.message, () => start());
  } finally {
    if (mine === choice) busy(false);
  }
}

/** A forecast of another area than the one before is gone to, unless a link says where to look. */
let area;
function showArea({ bounds, global_in_longitude: global }, view) {
  const other = String(bounds) !== area;
  area = String(bounds);
  if (other && !global && !view) map.fit(bounds);
}

/** What changes while a run goes on. */
function drawRun() {
  const { forecast } = chosen;
  timeline.show(forecast.leads, format.run(new Date(forecast.reference_time)));
  drawProgress();
  find("#model").textContent = forecast.title || forecast.model;
  document.title = `${format.run(new Date(forecast.reference_time))} · ${forecast.title || forecast.model} · vejr`;
}

// --- showing ---

const addressAt = (step) => api.tileAddress(chosen.forecast.id, chosen.variable, chosen.level, chosen.forecast.leads[step].lead);

/** Everything anew: another run, variable or level. */
async function refresh() {
  const mine = ++choice;
  const { forecast, variable, level } = chosen;
  showPoint();
  try {
    const [content] = await Promise.all([api.legend(forecast.id, variable, level), showStep(timeline.step)]);
    if (mine !== choice) return;
    legend.show(content, title());
    map.read();
    showPoint();
  } catch (error) {
    if (mine === choice) message("The map cannot be drawn", error.message, () => start());
  }
}

/** The map at a step, and what comes next in the background. */
function showStep(step) {
  const { forecast, variable, level } = chosen;
  const { published } = timeline;
  if (published === 0) return Promise.resolve();
  const { lead } = forecast.leads[step];
  const shown = map.show(`${forecast.id} ${variable} ${level} ${lead}`, addressAt(step));
  const ahead = Array.from({ length: Math.min(PREFETCH, published - 1) }, (_, i) => (step + 1 + i) % published);
  map.prefetch(ahead.map(addressAt));
  meteogram.mark(step);
  remember();
  return shown;
}

let rememberTimer;
function remember() {
  clearTimeout(rememberTimer);
  rememberTimer = setTimeout(() => {
    if (!chosen.forecast || !timeline.current) return;
    permalink.write({ ...chosen, forecast: chosen.forecast.id, lead: timeline.current.lead, view: map.view });
  }, 150);
}

// --- a place ---

let pointRequest = new AbortController();
async function showPoint() {
  pointRequest.abort();
  pointRequest = new AbortController();
  map.pin = chosen.point;
  map.draw();
  remember();
  if (!chosen.point) return meteogram.close();
  const { forecast, variable, level, point } = chosen;
  meteogram.open(`${title()}${legend.content ? `, ${legend.content.units}` : ""}`, format.place(point));
  if (!meteogram.data) meteogram.say("Loading…");
  try {
    const { signal } = pointRequest;
    const [answer, content] = await Promise.all([
      api.series(forecast.id, variable, level, point, { signal }),
      api.legend(forecast.id, variable, level, { signal }),
    ]);
    const { scale, offset } = content.display;
    const shown = new Map(answer.values.map(({ seconds, value }) => [seconds, value === null ? null : value * scale + offset]));
    const values = forecast.leads.map(({ seconds }) => shown.get(seconds) ?? null);
    meteogram.show(forecast.leads, values, content, timeline.step);
  } catch (error) {
    if (error.name !== "AbortError") meteogram.say(error.message);
  }
}

function pickPoint(x, y) {
  if (!chosen.forecast) return;
  chosen.point = map.place(x, y);
  showPoint();
}

meteogram.onclose = () => {
  chosen.point = null;
  showPoint();
  map.canvas.focus();
};
meteogram.onpick = (step) => {
  timeline.stop();
  timeline.go(step);
};

// --- keeping up with the server ---

async function poll() {
  const { forecast } = chosen;
  if (!forecast || forecast.state !== "running" || document.hidden) return;
  const mine = choice;
  try {
    const newer = await api.forecast(forecast.id);
    if (mine !== choice || (newer.steps_complete === forecast.steps_complete && newer.state === forecast.state)) return;
    const first = timeline.published === 0;
    chosen.forecast = newer;
    drawRun();
    if (first) await refresh();
    else {
      if (!timeline.playing) showStep(timeline.step);
      showPoint();
    }
    if (newer.state === "failed") note(`The run stopped: ${newer.failure_reason ?? "no reason given"}`);
    if (newer.state === "complete") note("The run is complete.");
    pollRuns();
  } catch (error) {
    note(error.message);
  }
}

async function pollRuns() {
  if (document.hidden) return;
  try {
    const { forecasts } = await api.forecasts();
    const newest = forecasts[0] && runs[0] && forecasts[0].id !== runs[0].id ? forecasts[0] : null;
    const before = JSON.stringify(runs);
    runs = forecasts;
    if (JSON.stringify(runs) !== before) drawRuns();
    if (newest) note(`New run: ${format.run(new Date(newest.reference_time))}`);
    if (!chosen.forecast && runs.length > 0) start();
  } catch (error) {
    if (chosen.forecast) note(error.message);
  }
}

async function start() {
  message(null);
  busy(true);
  try {
    const answer = await api.forecasts();
    runs = answer.forecasts;
    drawRuns();
    if (runs.length === 0) {
      const damaged = answer.unreachable.length;
      const text = damaged > 0 ? `${damaged} of them cannot be read; the server's log says why.` : "As soon as one begins, it appears here. To make one: vejr forecast --help";
      return message(damaged > 0 ? "No forecast can be read" : "No forecasts yet", text, start);
    }
    const wanted = permalink.read();
    if (wanted.view) map.view = wanted.view;
    chosen.point = wanted.point;
    const linked = wanted.forecast && runs.find((run) => run.id === wanted.forecast);
    if (wanted.forecast && !linked) note("The run of this link is not there any more; this is the newest one.");
    // without a link: the newest run that has something to show
    const newest = runs.find((run) => run.steps_complete > 0) ?? runs[0];
    await pickRun((linked ?? newest).id, wanted);
  } catch (error) {
    message("The forecasts cannot be listed", error.message, start);
  } finally {
    busy(false);
  }
}

// --- wiring ---

find("#run").addEventListener("change", (event) => pickRun(event.target.value));
find("#zoom-in").addEventListener("click", () => map.zoomBy(0.5));
find("#zoom-out").addEventListener("click", () => map.zoomBy(-0.5));
timeline.onstep = (step) => showStep(step);
map.onmove = remember;
map.onpaint = () => busy(Boolean(map.waiting));
map.onfailure = (error) => note(error.message);
map.onhover = (point, value) => {
  legend.point(value);
  map.canvas.title = "";
  if (legend.content) legend.title.textContent = point ? format.place(point) : `${title()}, ${legend.content.units}`;
};
attach(map, pickPoint);

document.addEventListener("keydown", (event) => {
  if (!chosen.forecast || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.matches("select, input[type=radio]") && event.key.startsWith("Arrow")) return;
  const onButton = event.target.matches("button");
  if (moveByKey(map, event)) event.preventDefault();
  else if (event.key === "ArrowLeft") timeline.move(-1);
  else if (event.key === "ArrowRight") timeline.move(1);
  else if (event.key === "ArrowUp") moveLevel(-1);
  else if (event.key === "ArrowDown") moveLevel(1);
  else if (event.key === "Home") timeline.go(0);
  else if (event.key === "End") timeline.go(timeline.published - 1);
  else if (event.key === " " && !onButton) timeline.toggle();
  else if (event.key === "Enter" && event.target === map.canvas) pickPoint(map.width / 2, map.height / 2);
  else if (event.key === "Escape" && chosen.point) meteogram.onclose();
  else return;
  event.preventDefault();
});

addEventListener("hashchange", () => start());

const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = null;
function drawTheme() {
  document.documentElement.dataset.theme = theme ?? (dark.matches ? "dark" : "light");
}
dark.addEventListener("change", drawTheme);
find("#theme").addEventListener("click", () => {
  theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  drawTheme();
});
drawTheme();

function measure() {
  const narrow = innerWidth <= 720;
  const panel = find("#panel").getBoundingClientRect();
  map.inset = { top: narrow ? panel.bottom : 0, bottom: innerHeight - find("#timeline").getBoundingClientRect().top, left: narrow ? 0 : panel.right };
  map.draw();
}
new ResizeObserver(measure).observe(find("#panel"));
new ResizeObserver(measure).observe(find("#timeline"));
addEventListener("resize", measure);

setInterval(poll, POLL_RUN_MS);
setInterval(pollRuns, POLL_LIST_MS);
addEventListener("visibilitychange", poll);
start();
