// A place through the whole run: the chosen variable, and beside it wind and pressure, as curves one above the other.

import uPlot from "uplot";
import type { Forecast, SeriesValue, Variable } from "./api.ts";
import * as api from "./api.ts";
import { find } from "./dom.ts";
import * as format from "./format.ts";
import { isolinesOf } from "./isolines.ts";
import { CONTROL, isStatistic, title } from "./members.ts";
import type { Place } from "./mercator.ts";
import { type Curves, curves, QUANTILES } from "./plume.ts";
import { fieldTitle, modelTitle, runTime } from "./titles.ts";
import { told, type Wind, windLevel, windOf } from "./wind.ts";

/** What the meteogram is of. */
export interface Subject {
  forecast: Forecast;
  variable: Variable;
  level: string;
  /** Of an ensemble: the member whose curve is drawn, too. */
  member: string;
  place: Place;
  /** The run before, to be seen beside this one. */
  older: Forecast | null;
}

interface Panel {
  title: string;
  units: string;
  range: number;
  curves: Curves;
  /** The run before. */
  older: (number | null)[] | null;
  /** Where the wind comes from, degrees. */
  from: (number | null)[] | null;
}

const HOUR = 3600;

export class Meteogram {
  private plots: uPlot[] = [];
  private panels: Panel[] = [];
  private subject: Subject | null = null;
  private request = new AbortController();
  private step = 0;
  private zone: format.Zone = "utc";
  private readonly body: HTMLElement;
  onpick: (step: number) => void = () => {};

  constructor(private readonly root: HTMLElement) {
    this.body = find(".plots", root);
    new ResizeObserver(() => this.draw()).observe(this.body);
  }

  /** Asks for the curves and shows them; called again while the run goes on. */
  async show(asked: Subject, step: number, zone: format.Zone) {
    // what is made of all members is in the curves anyway
    const subject = { ...asked, member: isStatistic(asked.member) ? CONTROL : asked.member };
    const { forecast, variable, level } = subject;
    Object.assign(this, { step, zone });
    this.root.hidden = false;
    // what was asked for before stays, with its own heading, until the new curves are there
    if (this.panels.length === 0) {
      this.head(subject);
      this.say("Loading…");
    }
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    try {
      const wanted: Promise<Panel | null>[] = [this.single(subject, variable, level, signal)];
      const wind = windOf(forecast, level);
      if (typeof wind !== "string") wanted.push(this.wind(subject, wind, windLevel(wind, level), signal));
      const isolines = isolinesOf(forecast, level);
      if (typeof isolines !== "string" && isolines.variable !== variable) {
        wanted.push(this.single(subject, isolines.variable, isolines.level, signal));
      }
      const rain = forecast.variables.find(({ standard_name }) => standard_name.startsWith("precipitation"));
      if (rain && rain !== variable) wanted.push(this.single(subject, rain, rain.levels[0]!, signal));
      const panels = (await Promise.all(wanted)).filter((panel) => panel !== null);
      if (signal.aborted) return;
      Object.assign(this, { panels, subject });
      this.head(subject);
      const nothing = panels.every(({ curves }) => curves.middle.every((value) => value === null));
      if (nothing) return this.say("No data at this place.");
      this.draw();
    } catch (error) {
      if (!api.aborted(error)) this.say(api.sentence(error));
    }
  }

  private head({ forecast, variable, member, place }: Subject) {
    find("h2", this.root).textContent = format.place(place);
    find(".of", this.root).textContent = `Run ${runTime(forecast)} · ${modelTitle(forecast)}`;
    const { members = 0 } = forecast;
    const own = title(member, variable).toLowerCase();
    const key = find(".key", this.root);
    key.hidden = members < 2;
    key.textContent = key.hidden ? "" : `${members} members: median, 25 to 75 and 10 to 90 %; thin: ${own}`;
  }

  close() {
    this.request.abort();
    this.root.hidden = true;
    this.subject = null;
    this.panels = [];
    this.wipe();
  }

  /** Moves the line that marks the map's time. */
  mark(step: number, zone: format.Zone) {
    const turned = zone !== this.zone;
    Object.assign(this, { step, zone });
    if (turned) this.draw();
    else for (const plot of this.plots) plot.redraw(false, true);
    this.read();
  }

  // --- asking ---

  private async single(subject: Subject, variable: Variable, level: string, signal: AbortSignal): Promise<Panel> {
    const { forecast, place, older, member } = subject;
    const legend = await api.legend(forecast.id, variable.name, level);
    const values = await api.plume(forecast, variable.name, level, place, member, { signal });
    const show = (value: number) => value * legend.display.scale + legend.display.offset;
    const panel: Panel = {
      title: fieldTitle(variable, level),
      units: legend.units,
      range: legend.high - legend.low,
      curves: curves(this.seconds(forecast), values, show),
      older: null,
      from: null,
    };
    if (older) {
      const before = await api.series(older, variable.name, level, place, CONTROL, { signal }).catch(ignore);
      if (before) panel.older = this.shifted(forecast, older, before.values, show);
    }
    return panel;
  }

  private async wind(subject: Subject, wind: Wind, level: string, signal: AbortSignal): Promise<Panel> {
    const { forecast, place, member } = subject;
    const [u, v] = wind.parts;
    const ask = ({ name }: Variable) => api.series(forecast, name, level, place, member, { signal });
    const [first, second] = await Promise.all([ask(u), ask(v)]);
    const winds = first.values.map(({ seconds, value }, i) => {
      const other = second.values[i]?.value ?? null;
      return { seconds, wind: value === null || other === null ? null : told(wind, value, other) };
    });
    const speeds = winds.map(({ seconds, wind }) => ({ seconds, value: wind?.knots ?? null }));
    const seconds = this.seconds(forecast);
    const at = new Map(winds.map(({ seconds, wind }) => [seconds, wind?.from ?? null]));
    const whose = (forecast.members ?? 0) > 1 ? ` of ${member ? title(member, u).toLowerCase() : "the control"}` : "";
    return {
      title: `Wind${level === "surface" ? "" : `, ${format.level(level)}`}${whose}`,
      units: "kn",
      range: 20,
      curves: curves(seconds, speeds, (value) => value),
      older: null,
      from: seconds.map((second) => at.get(second) ?? null),
    };
  }

  private seconds(forecast: Forecast) {
    return forecast.leads.map((lead) => lead.seconds);
  }

  /** The older run's values at this run's times. */
  private shifted(forecast: Forecast, older: Forecast, values: SeriesValue[], show: (value: number) => number) {
    const ahead = (Date.parse(forecast.reference_time) - Date.parse(older.reference_time)) / 1000;
    const at = new Map(values.map(({ seconds, value }) => [seconds - ahead, value]));
    return this.seconds(forecast).map((second) => {
      const value = at.get(second) ?? null;
      return value === null ? null : show(value);
    });
  }

  // --- drawing ---

  /** A sentence in place of the curves. */
  private say(text: string) {
    this.panels = [];
    this.wipe();
    this.body.classList.add("empty");
    this.body.textContent = text;
  }

  private wipe() {
    for (const plot of this.plots) plot.destroy();
    this.plots = [];
    this.body.replaceChildren();
    this.body.classList.remove("empty");
  }

  draw() {
    const { subject, panels } = this;
    if (!subject || panels.length === 0 || this.body.clientWidth < 120) return;
    const top = this.body.scrollTop;
    this.wipe();
    const start = Date.parse(subject.forecast.reference_time) / 1000;
    const times = subject.forecast.leads.map(({ seconds }) => start + seconds);
    panels.forEach((panel, i) => {
      const box = document.createElement("div");
      const head = document.createElement("p");
      head.className = "reading";
      box.append(head);
      this.body.append(box);
      this.plots.push(this.plot(box, panel, times, i === panels.length - 1));
    });
    this.body.append(this.table(times));
    this.body.scrollTop = top;
    this.read();
  }

  private plot(box: HTMLElement, panel: Panel, times: number[], last: boolean): uPlot {
    const css = getComputedStyle(document.documentElement);
    const color = (name: string) => css.getPropertyValue(`--${name}`).trim();
    const [ink, faint, edge, accent, hatch] = ["ink", "faint", "edge", "accent", "hatch"].map(color) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const { zone } = this;
    const font = `11px ${css.fontFamily}`;
    const bands = panel.curves.quantiles.length > 0;
    const plume: uPlot.Series[] = bands
      ? QUANTILES.map((part) => ({ stroke: accent, width: part === 0.5 ? 2 : 0, points: { show: false } }))
      : [];
    const lines: uPlot.Series[] = bands
      ? plume
      : [{ stroke: accent, width: 2, points: { show: times.length < 50, size: 4 } }];
    const data: (number | null)[][] = [times, ...(bands ? panel.curves.quantiles : [panel.curves.middle])];
    if (panel.curves.own) {
      lines.push({ stroke: ink, width: 1, points: { show: false } });
      data.push(panel.curves.own);
    }
    if (panel.older) {
      lines.push({ stroke: faint, width: 1.5, dash: [5, 4], points: { show: false } });
      data.push(panel.older);
    }
    const options: uPlot.Options = {
      width: this.body.clientWidth,
      height: (innerWidth <= 720 ? 104 : 124) + (last ? 22 : 0),
      padding: [6, 10, last ? 0 : 4, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false }, points: { size: 7 } },
      tzDate: (seconds) =>
        zone === "utc" ? uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC") : new Date(seconds * 1e3),
      scales: { x: { time: true, range: [times[0]!, Math.max(times.at(-1)!, times[0]! + HOUR)] } },
      series: [{}, ...lines],
      axes: [
        {
          show: true,
          size: last ? 24 : 0,
          stroke: faint,
          font,
          grid: { stroke: edge, width: 1 },
          ticks: { show: false },
          splits: (_, __, low, high) => midnights(low, high, zone, this.body.clientWidth),
          values: (_, at) => (last ? at.map((second) => format.day(new Date(second * 1e3), zone)) : at.map(() => "")),
        },
        {
          size: 46,
          stroke: faint,
          font,
          grid: { stroke: edge, width: 1 },
          ticks: { show: false },
          space: 26,
          values: (_, at) => at.map(format.tick),
        },
      ],
      ...(bands
        ? {
            bands: [
              { series: [5, 1], fill: `${accent}30` },
              { series: [4, 2], fill: `${accent}40` },
            ],
          }
        : {}),
      hooks: {
        draw: [(plot) => this.marks(plot, times, ink, hatch), (plot) => panel.from && arrows(plot, times, panel, ink)],
        setCursor: [(plot) => this.read(plot.cursor.idx ?? undefined)],
      },
    };
    const plot = new uPlot(options, data as uPlot.AlignedData, box);
    plot.over.addEventListener("click", () => {
      if (plot.cursor.idx !== null && plot.cursor.idx !== undefined) this.onpick(plot.cursor.idx);
    });
    return plot;
  }

  /** The map's time, and what is not published yet. */
  private marks(plot: uPlot, times: number[], ink: string, hatch: string) {
    const { ctx: context, bbox } = plot;
    const leads = this.subject?.forecast.leads ?? [];
    const published = leads.filter((lead) => lead.published).length;
    context.save();
    if (published < leads.length) {
      const from = plot.valToPos(times[Math.max(0, published - 1)]!, "x", true);
      context.globalAlpha = 0.4;
      context.fillStyle = hatch;
      context.fillRect(from, bbox.top, bbox.left + bbox.width - from, bbox.height);
      context.globalAlpha = 1;
    }
    const time = times[this.step];
    if (time !== undefined) {
      const x = Math.round(plot.valToPos(time, "x", true)) + 0.5;
      context.strokeStyle = ink;
      context.lineWidth = devicePixelRatio;
      context.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      context.beginPath();
      context.moveTo(x, bbox.top);
      context.lineTo(x, bbox.top + bbox.height);
      context.stroke();
    }
    context.restore();
  }

  /** Values in words above each curve: under the cursor, or at the map's time. */
  private read(index = this.step) {
    this.panels.forEach((panel, i) => {
      const head = this.body.querySelectorAll(".reading")[i];
      if (!head) return;
      const value = panel.curves.middle[index] ?? null;
      const from = panel.from?.[index] ?? null;
      const direction = from === null ? "" : ` from ${String(Math.round(from / 10) * 10 || 360).padStart(3, "0")}°`;
      const text = value === null ? "no data" : `${format.number(value, panel.range)} ${panel.units}${direction}`;
      const spread = between(panel, index);
      const older = panel.older?.[index];
      const before = older === null || older === undefined ? "" : ` (run before ${format.number(older, panel.range)})`;
      const strong = Object.assign(document.createElement("strong"), { textContent: text });
      head.replaceChildren(`${panel.title} `, strong, spread, before);
    });
  }

  /** The same as a table, for those who do not see curves. */
  private table(times: number[]): HTMLElement {
    const table = document.createElement("table");
    table.className = "hidden";
    const caption = table.createCaption();
    caption.textContent = "Forecast at this place";
    const head = table.createTHead().insertRow();
    for (const text of ["Time", ...this.panels.map(({ title, units }) => `${title}, ${units}`)]) {
      head.append(Object.assign(document.createElement("th"), { textContent: text, scope: "col" }));
    }
    const body = table.createTBody();
    times.forEach((time, i) => {
      const row = body.insertRow();
      const cells = this.panels.map((panel) => {
        const value = panel.curves.middle[i] ?? null;
        return value === null ? "–" : `${format.number(value, panel.range)}${between(panel, i)}`;
      });
      for (const text of [format.time(new Date(time * 1e3), this.zone), ...cells]) row.insertCell().textContent = text;
    });
    return table;
  }
}

/** Between what eight of ten members are, of an ensemble. */
function between({ curves: { quantiles }, range }: Panel, index: number): string {
  const [low, high] = [quantiles[0]?.[index] ?? null, quantiles.at(-1)?.[index] ?? null];
  return low === null || high === null ? "" : ` (${format.number(low, range)} to ${format.number(high, range)})`;
}

const ignore = (error: unknown) => {
  if (api.aborted(error)) throw error;
  return null;
};

/** Midnights between two moments (seconds), no more than there is room for names. */
function midnights(low: number, high: number, zone: format.Zone, width: number): number[] {
  const every = Math.max(1, Math.ceil((high - low) / 86_400 / (width / 58)));
  const found: number[] = [];
  let at = format.nextMidnight(new Date(low * 1e3), zone);
  for (let i = 0; at.getTime() / 1e3 <= high; i++) {
    if (i % every === 0) found.push(at.getTime() / 1e3);
    at = format.nextMidnight(new Date(at.getTime() + 1), zone);
  }
  return found;
}

/** Arrows along the top that fly with the wind. */
function arrows(plot: uPlot, times: number[], panel: Panel, ink: string) {
  const { ctx: context, bbox } = plot;
  const ratio = devicePixelRatio;
  let last = Number.NEGATIVE_INFINITY;
  context.save();
  Object.assign(context, { strokeStyle: ink, lineWidth: 1.3 * ratio, lineCap: "round" });
  times.forEach((time, i) => {
    const from = panel.from?.[i];
    const x = plot.valToPos(time, "x", true);
    if (from === null || from === undefined || x - last < 17 * ratio) return;
    last = x;
    context.save();
    context.translate(x, bbox.top + 9 * ratio);
    context.rotate(((from + 180) * Math.PI) / 180);
    context.beginPath();
    context.moveTo(0, 6 * ratio);
    context.lineTo(0, -6 * ratio);
    context.moveTo(-3 * ratio, -2.5 * ratio);
    context.lineTo(0, -6 * ratio);
    context.lineTo(3 * ratio, -2.5 * ratio);
    context.stroke();
    context.restore();
  });
  context.restore();
}
