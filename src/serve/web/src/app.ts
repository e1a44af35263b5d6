// What is chosen, and who shows it: maps, the time, a place. The panel and the person's hands are elsewhere.

import * as api from "./api.ts";
import { find, unveil } from "./dom.ts";
import type { Zone } from "./format.ts";
import * as format from "./format.ts";
import { choices } from "./members.ts";
import { type Place, wrap } from "./mercator.ts";
import type { Meteogram } from "./meteogram.ts";
import { message, note } from "./notices.ts";
import { OPENING, stepFor } from "./opening.ts";
import { fitted } from "./pane.ts";
import * as panel from "./panel.ts";
import * as permalink from "./permalink.ts";
import type { Camera } from "./pictures.ts";
import { LATEST, RunList } from "./runlist.ts";
import { theme } from "./theme.ts";
import { Timeline } from "./timeline.ts";
import { isEarth, runTime, variableOf } from "./titles.ts";
import { View } from "./view.ts";

/** Steps that are fetched ahead. */
const PREFETCH = 2;
const REMEMBER_MS = 150;
const NOTHING_YET = "As soon as one begins, it appears here. Ask for one with “Runs…”, or make one with vejr forecast.";

export const fail = (error: unknown) => note(api.sentence(error));

/** Does what may fail, and says so. */
export function attempt(work: Promise<unknown>) {
  work.catch(fail);
}

export class App {
  readonly timeline = new Timeline(find("#timeline"));
  /** One map, or two. The panel is about the active one. */
  readonly views: View[] = [];
  active = 0;
  runs = new RunList();
  /** When what is shown is valid. */
  time: string | null = null;
  place: Place | null = null;
  readonly overlays = { wind: false, lines: false };
  coasts = true;
  meteogram: Meteogram | null = null;
  /** Called when other runs are shown than before. */
  onarrive: () => void = () => {};
  private readonly panes = find("#panes");
  /** A run that was asked for before there was a map. */
  private early: Promise<api.Forecast | null> | null = null;
  /** The map that the person moves; the other one follows it. */
  private leading: View | null = null;
  private hovering = 0;
  private written = "";
  private rememberTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.timeline.onstep = (step) => this.showStep(step);
  }

  get view(): View {
    return this.views[this.active]!;
  }

  /** Whether anything is shown, or about to be. */
  get begun(): boolean {
    return Boolean(this.views[0]?.forecast);
  }

  // --- maps ---

  addView(at?: Camera): View {
    const root = find<HTMLTemplateElement>("#pane").content.firstElementChild!.cloneNode(true) as HTMLElement;
    this.panes.append(root);
    const added = new View(root, theme(), at ?? (this.views[0] ? this.camera : OPENING));
    added.pane.onfailure = fail;
    this.views.push(added);
    const act = () => {
      document.body.classList.remove("more");
      this.activate(added);
    };
    root.addEventListener("pointerdown", act, { capture: true });
    const { map } = added.pane;
    map.on("movestart", () => this.lead(added));
    map.on("move", () => {
      if (this.leading !== added) return;
      const at = { center: map.getCenter(), zoom: map.getZoom() };
      for (const other of this.views) if (other !== added) other.pane.map.jumpTo(at);
    });
    map.on("moveend", () => {
      if (this.leading === added) this.leading = null;
      this.remember();
    });
    const place = ({ lat, lng }: { lat: number; lng: number }) => ({ lat, lon: format.wrap(lng) });
    map.on("click", ({ lngLat }) => this.pick(place(lngLat)));
    map.on("mousemove", ({ lngLat }) => this.hover(place(lngLat)));
    map.on("mouseout", () => this.hover(null));
    this.arrange();
    return added;
  }

  /** The maps share the room that there is. */
  private arrange() {
    this.panes.classList.toggle("split", this.views.length > 1);
    for (const { pane } of this.views) pane.map.resize();
  }

  private lead(view: View) {
    this.leading ??= view;
  }

  private activate(view: View) {
    if (view === this.view || !this.views.includes(view)) return;
    this.active = this.views.indexOf(view);
    this.draw();
  }

  private hover(at: Place | null) {
    cancelAnimationFrame(this.hovering);
    this.hovering = requestAnimationFrame(() => {
      for (const view of this.views) view.point(at);
    });
  }

  get camera(): Camera {
    return this.views[0]!.pane.camera;
  }

  /** A second map beside the first one, of the run before if there is one; or one map again. */
  async split() {
    if (this.views.length > 1) {
      this.dropView();
      return this.arrive();
    }
    const { forecast, choice } = this.view;
    const added = this.addView();
    const older = forecast && this.runs.before(forecast);
    await this.take(added, { ...choice, difference: false, forecast: older?.id ?? choice.forecast });
    this.active = 1;
    await this.arrive();
  }

  private dropView() {
    this.views.pop()?.dispose();
    this.leading = null;
    this.active = 0;
    this.arrange();
  }

  // --- choosing ---

  /** Takes a run into a view: by its name, or the newest one of a model. */
  async take(view: View, wanted: Partial<permalink.PaneChoice>) {
    const id = wanted.forecast ?? view.choice.forecast;
    view.forecast = await this.ask(this.runs.resolve(id) ?? id);
    view.settle({ ...wanted, forecast: id });
    await this.compare(view);
  }

  private async ask(id: string): Promise<api.Forecast> {
    const early = await this.early;
    return early?.id === id ? early : api.forecast(id);
  }

  /** The run before, where the difference to it is asked for. */
  private async compare(view: View) {
    const { forecast, choice } = view;
    if (!forecast || !choice.difference) return;
    const before = this.runs.before(forecast);
    view.older = before ? await api.forecast(before.id) : null;
    const { older } = view;
    const variable = older && variableOf(older, choice.variable);
    const same =
      variable?.levels.includes(choice.level) && choices(older!, variable, choice.level).includes(choice.member);
    if (same) return;
    choice.difference = false;
    note(
      older
        ? `The run before, of ${runTime(older)}, has no such field.`
        : "There is no earlier run of this model to compare with.",
    );
  }

  async pickRun(id: string) {
    this.timeline.stop();
    try {
      await this.take(this.view, { forecast: id });
      message(null);
      await this.arrive();
    } catch (error) {
      message("This run cannot be shown", api.sentence(error), () => this.pickRun(id));
    }
  }

  /** Another variable, level, or the difference. */
  pickField(wanted: Partial<permalink.PaneChoice>) {
    const show = async () => {
      this.view.settle(wanted);
      await this.compare(this.view);
      this.draw();
      await this.showAll();
      await this.showPlace();
    };
    attempt(show());
  }

  /** The level above (-1) or below (+1). */
  moveLevel(direction: number) {
    const { forecast, choice } = this.view;
    const variable = forecast && variableOf(forecast, choice.variable);
    if (!variable) return;
    const ascending = [...variable.levels].sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b));
    const level = ascending[ascending.indexOf(choice.level) + direction];
    if (level) this.pickField({ level });
  }

  /** The next member or statistic (+1), or the one before (-1). */
  moveMember(direction: number) {
    const { forecast, choice } = this.view;
    const variable = forecast && variableOf(forecast, choice.variable);
    if (!variable) return;
    const all = choices(forecast, variable, choice.level);
    this.pickField({ member: all[wrap(all.indexOf(choice.member) + direction, all.length)]! });
  }

  setZone(zone: Zone) {
    this.timeline.zone = zone;
    panel.drawZone(zone);
    this.timeline.draw();
    this.meteogram?.mark(this.timeline.step, zone);
    this.remember();
  }

  setCoasts(wanted: boolean) {
    this.coasts = wanted;
    for (const { pane, forecast } of this.views) {
      if (!forecast) continue;
      attempt(pane.outlines(wanted && isEarth(forecast), !forecast.grid.global_in_longitude));
    }
    this.remember();
  }

  // --- showing ---

  /** All that stands beside the maps. */
  draw() {
    const { forecast } = this.view;
    if (!forecast) return;
    this.timeline.show(forecast.leads, this.time);
    panel.draw(this);
    for (const view of this.views) view.root.classList.toggle("active", this.views.length > 1 && view === this.view);
  }

  /** After a run was taken: another area, other times, another run to follow. */
  async arrive() {
    const { forecast } = this.view;
    if (!forecast) return;
    // the nearest time that this run has published
    this.time = forecast.leads[stepFor(forecast, this.time)]?.valid_time ?? null;
    this.setCoasts(this.coasts);
    this.draw();
    this.onarrive();
    await this.showAll();
    unveil();
    await this.showPlace();
  }

  showAll(): Promise<unknown> {
    this.remember();
    return Promise.all(this.views.map((view) => view.show(this.time, this.overlays)));
  }

  /** The maps at a step, and what comes next in the background. */
  private async showStep(step: number) {
    const { timeline, view, overlays } = this;
    this.time = timeline.leads[step]?.valid_time ?? this.time;
    this.meteogram?.mark(step, timeline.zone);
    try {
      await this.showAll();
    } catch (error) {
      timeline.stop();
      fail(error);
    }
    for (let i = 1; i <= Math.min(PREFETCH, timeline.published - 1); i++) {
      attempt(view.prefetch((step + i) % timeline.published, overlays));
    }
  }

  /** Writes what is shown into the address, when it has stood for a moment. */
  remember() {
    clearTimeout(this.rememberTimer);
    this.rememberTimer = setTimeout(() => {
      if (!this.begun) return;
      const { time, place, overlays, coasts, camera } = this;
      const panes = this.views.map((view) => view.choice);
      const zone = this.timeline.zone;
      this.written = permalink.write({ panes, time, view: camera, place, ...overlays, coasts, zone });
      if (location.hash !== this.written) history.replaceState(null, "", this.written);
    }, REMEMBER_MS);
  }

  /** Whether the address is another than was written there. */
  get isElsewhere(): boolean {
    return location.hash !== this.written;
  }

  // --- a place ---

  pick(at: Place | null) {
    this.place = at;
    const show = async () => {
      await this.showPlace();
      if (this.place) this.view.pane.uncover(this.place, find("#meteogram").getBoundingClientRect());
    };
    attempt(show());
  }

  async showPlace() {
    for (const { pane } of this.views) pane.pin(this.place);
    this.remember();
    if (this.place && !this.meteogram) {
      const { Meteogram } = await import("./meteogram.ts");
      this.meteogram ??= new Meteogram(find("#meteogram"));
      this.meteogram.onpick = (step) => {
        this.timeline.stop();
        attempt(this.timeline.go(step));
      };
    }
    const { meteogram, place, timeline } = this;
    const { forecast, choice, older } = this.view;
    const variable = forecast && variableOf(forecast, choice.variable);
    if (!place || !variable) return meteogram?.close();
    const { level, member, difference } = choice;
    const subject = { forecast, variable, level, member, place, older: difference ? older : null };
    await meteogram?.show(subject, timeline.step, timeline.zone);
  }

  // --- beginning ---

  /** Shows what the address says, or the newest run. */
  async start(asked = api.forecasts(), early: Promise<api.Forecast | null> | null = null) {
    const again = () => {
      this.start();
    };
    message(null);
    const wanted = permalink.read(location.hash);
    this.early = early;
    try {
      const { forecasts, unreachable } = await asked;
      this.runs = new RunList(forecasts);
      panel.drawRuns(this);
      if (forecasts.length === 0) {
        const damaged = `${unreachable.length} of them cannot be read; the server's log says why.`;
        if (unreachable.length > 0) return message("No forecast can be read", damaged, again);
        return message("No forecasts yet", NOTHING_YET, again);
      }
      Object.assign(this.overlays, { wind: wanted.wind, lines: wanted.lines });
      this.coasts = wanted.coasts;
      this.time = wanted.time;
      this.place = wanted.place;
      this.setZone(wanted.zone);
      while (this.views.length > wanted.panes.length) this.dropView();
      while (this.views.length < wanted.panes.length) this.addView(wanted.view ?? undefined);
      await Promise.all(this.views.map((view, i) => this.takeLinked(view, wanted.panes[i]!)));
      this.open(wanted.view);
      await this.arrive();
    } catch (error) {
      message("The forecasts cannot be shown", api.sentence(error), again);
    } finally {
      this.early = null;
    }
  }

  /** Takes the run that a link names, or says that it is gone and takes the newest one. */
  private async takeLinked(view: View, choice: Partial<permalink.PaneChoice>) {
    const newest = `${this.runs.newest()!.model}${LATEST}`;
    if (!choice.forecast) return this.take(view, { ...choice, forecast: newest });
    try {
      await this.take(view, choice);
    } catch (error) {
      if (!(error instanceof api.Problem && [400, 404].includes(error.status))) throw error;
      note("The run of this link is not there any more; this is the newest one.");
      await this.take(view, { ...choice, forecast: newest });
    }
  }

  /** Where the maps open: where a link says, or on the area of a regional forecast. */
  private open(at: Camera | null) {
    const { forecast } = this.view;
    for (const { pane } of this.views) {
      if (at) pane.map.jumpTo({ center: [at.lon, at.lat], zoom: at.zoom });
      else if (forecast && !forecast.grid.global_in_longitude) {
        pane.map.fitBounds(fitted(forecast.grid.bounds), { padding: 24, animate: false });
      }
    }
  }
}
