// One map: a field of a forecast at a time, with wind and isolines over it, and the value under the cursor.
//
// A new field replaces the old one only when all that is visible of it is there, wind and lines included, so that stepping
// through time never flickers and never shows two times at once.

import { Map as MapLibre, Marker, setWorkerUrl } from "maplibre-gl";
import type { Forecast, Legend } from "./api.ts";
import * as api from "./api.ts";
import { Outlining, recolor, style } from "./basemap.ts";
import { type Difference, differenceTiles } from "./difference.ts";
import { valueAt } from "./floats.ts";
import { wrap } from "./format.ts";
import type { Place } from "./mercator.ts";
import { NO_OVERLAYS, Overlays } from "./overlays.ts";
import { type Camera, deepest, FORM, fetchAhead, MAX_ZOOM, SIZE, seen } from "./pictures.ts";
import type { Theme } from "./theme.ts";

setWorkerUrl(WORKER);

/** Around a marked place, to be seen with it. */
const PIN = 24;
/** A field that is not there by then is shown as far as it is. */
const PATIENCE_MS = 12_000;
/** From the first field to the first lines over it. */
const LINES_MS = 200;

/** What a map is to show. */
export interface Frame {
  forecast: Forecast;
  variable: string;
  level: string;
  step: number;
  /** Of an ensemble, whose field it is; and whose barbs and lines are over it. */
  member: string;
  over: string;
  /** Instead of the field itself. */
  difference: Difference | null;
  wind: boolean;
  lines: boolean;
}

const tiles = ({ forecast, variable, level, step, member }: Frame) =>
  api.tiles(forecast.id, variable, level, forecast.leads[step]!.lead, member);

const key = (frame: Frame) =>
  [tiles(frame), frame.difference?.older, frame.difference?.reach, frame.wind, frame.lines].join(" ");

export class Pane {
  readonly map: MapLibre;
  private readonly outlining: Outlining;
  /** There when the map takes layers. */
  private readonly overlays: Promise<Overlays>;
  /** When the first field is drawn, or there is none. */
  private readonly first: Promise<void>;
  private drawn: () => void = () => {};
  private frame: Frame | null = null;
  /** What was asked for last and is on the way. */
  private pending: { key: string; promise: Promise<void> } | null = null;
  /** Counts what is asked for: what was asked for earlier and arrives late is dropped. */
  private serial = 0;
  private slot = 0;
  private slotKey = "";
  private marker: Marker | null = null;
  private moved = 0;
  onfailure: (error: unknown) => void = () => {};

  constructor(container: HTMLElement, theme: Theme, view: Camera) {
    this.map = new MapLibre({
      container,
      style: style(theme),
      center: [view.lon, view.lat],
      zoom: view.zoom,
      maxZoom: MAX_ZOOM,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      rollEnabled: false,
      keyboard: false,
      attributionControl: false,
      fadeDuration: 0,
      refreshExpiredTiles: false,
      canvasContextAttributes: { antialias: false, powerPreference: "high-performance" },
    });
    // a sky is drawn even where none can be seen: a program to compile before the first picture, and one more layer in each
    this.map.painter.drawFunctions.sky = () => {};
    this.map.touchZoomRotate.disableRotation();
    this.map.getCanvas().tabIndex = -1;
    this.outlining = new Outlining(this.map, (error) => this.onfailure(error));
    this.overlays = new Promise((resolve) => {
      this.map.once("style.load", () => resolve(new Overlays(this.map)));
    });
    this.first = new Promise((resolve) => {
      this.drawn = resolve;
    });
    this.map.on("moveend", () => this.refreshOverlays().catch((error) => this.onfailure(error)));
    this.map.on("error", ({ error }) => {
      // tiles that are not wanted any more are given up, which is no failure
      if (!api.aborted(error)) this.onfailure(error);
    });
  }

  get camera(): Camera {
    const { lat, lng } = this.map.getCenter();
    return { zoom: this.map.getZoom(), lat, lon: wrap(lng) };
  }

  /** Shows a frame when all of it is there; resolves then, or when another one has taken its place. */
  show(frame: Frame): Promise<void> {
    if (this.frame && key(this.frame) === key(frame)) {
      this.pending = null;
      this.serial++;
      return Promise.resolve();
    }
    if (this.pending?.key === key(frame)) return this.pending.promise;
    const pending = { key: key(frame), promise: this.prepare(frame, ++this.serial) };
    this.pending = pending;
    return pending.promise.finally(() => {
      if (this.pending === pending) this.pending = null;
    });
  }

  private async prepare(frame: Frame, mine: number) {
    const overlays = await this.overlays;
    const current = () => mine === this.serial;
    if (!current()) return;
    // a field without its barbs is worth more than none
    const failed = (error: unknown) => {
      this.onfailure(error);
      return NO_OVERLAYS;
    };
    const [field, values] = await Promise.all([
      this.prepareField(frame, current),
      overlays.values(frame).catch(failed),
    ]);
    if (!current()) return;
    field();
    overlays.show(values);
    if (!this.frame) this.map.once("idle", () => setTimeout(this.drawn, LINES_MS));
    this.frame = frame;
  }

  /** Fetches what a frame will need, when there is time. */
  async prefetch(frame: Frame) {
    const jobs: Promise<unknown>[] = [(await this.overlays).values(frame)];
    if (!frame.difference) {
      const { clientWidth, clientHeight } = this.map.getContainer();
      const area = seen(this.camera, clientWidth, clientHeight, frame.forecast.grid);
      jobs.push(fetchAhead(tiles(frame), area, "low"));
    }
    await Promise.allSettled(jobs);
  }

  /** Forgets what is shown. */
  async clear() {
    this.frame = this.pending = null;
    const mine = ++this.serial;
    const overlays = await this.overlays;
    if (mine !== this.serial) return;
    this.slotKey = "";
    for (const slot of ["field-0", "field-1"]) this.remove(slot);
    overlays.clear();
    this.drawn();
  }

  private remove(id: string) {
    if (this.map.getLayer(id)) this.map.removeLayer(id);
    if (this.map.getSource(id)) this.map.removeSource(id);
  }

  // --- the field: two layers, one seen, one that is being made ---

  private async prepareField(frame: Frame, current: () => boolean): Promise<() => void> {
    const wanted = frame.difference ? differenceTiles(frame.difference) : tiles(frame).replace("{form}", FORM);
    if (wanted === this.slotKey) return () => {};
    const { map } = this;
    const [next, old] = [`field-${1 - this.slot}`, `field-${this.slot}`];
    this.remove(next);
    const { grid } = frame.forecast;
    const [west, south, east, north] = grid.bounds;
    map.addSource(next, {
      type: "raster",
      tiles: [new URL(wanted, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}")],
      tileSize: SIZE,
      maxzoom: deepest(grid),
      ...(grid.global_in_longitude || west > east
        ? {}
        : { bounds: [west, Math.max(-85, south), east, Math.min(85, north)] }),
    });
    map.addLayer(
      {
        id: next,
        type: "raster",
        source: next,
        paint: { "raster-opacity": 0, "raster-opacity-transition": { duration: 0 }, "raster-fade-duration": 0 },
      },
      "graticule",
    );
    await this.loaded(next, current);
    return () => {
      map.setPaintProperty(next, "raster-opacity", 1);
      this.remove(old);
      this.slot = 1 - this.slot;
      this.slotKey = wanted;
    };
  }

  /** Until all tiles of a source that the map shows are there, or another frame is wanted. */
  private loaded(source: string, current: () => boolean): Promise<void> {
    const { map } = this;
    return new Promise((resolve) => {
      const begin = performance.now();
      const look = () => {
        const there = map.getSource(source) !== undefined;
        const late = performance.now() - begin > PATIENCE_MS;
        if (there && current() && !late && !map.isSourceLoaded(source)) return;
        map.off("render", look);
        map.off("sourcedata", look);
        clearInterval(timer);
        resolve();
      };
      // a map that is hidden renders nothing
      const timer = setInterval(look, 250);
      map.on("render", look);
      map.on("sourcedata", look);
      map.triggerRepaint();
    });
  }

  /** After the map was moved: wind and lines of other places are seen. */
  private async refreshOverlays() {
    const { frame } = this;
    if (!frame || !(frame.wind || frame.lines)) return;
    const move = ++this.moved;
    const overlays = await this.overlays;
    const values = await overlays.values(frame);
    if (move === this.moved && frame === this.frame) overlays.show(values);
  }

  // --- a place ---

  /** The value at a place, in the legend's units; a difference where one is shown. */
  async value(place: Place, legend: Legend): Promise<number | null> {
    const { frame } = this;
    if (!frame) return null;
    const z = Math.min(deepest(frame.forecast.grid), Math.max(0, Math.round(this.map.getZoom())));
    const [own, older] = await Promise.all([
      valueAt(tiles(frame), z, place),
      frame.difference ? valueAt(frame.difference.older, z, place) : 0,
    ]);
    const { scale, offset } = legend.display;
    return (own - older) * scale + offset;
  }

  /** Moves the map so that a place is not under what covers part of it. */
  uncover(place: Place, cover: DOMRect) {
    const frame = this.map.getContainer().getBoundingClientRect();
    const at = this.map.project([place.lon, place.lat]);
    const [x, y] = [frame.left + at.x, frame.top + at.y];
    const [right, down] = [x + PIN - cover.left, y + PIN - cover.top];
    const covered = right > 0 && down > 0 && x - PIN < cover.right && y - PIN < cover.bottom;
    if (!covered) return;
    // the shorter way, as long as the place stays on the map
    if (down < y - frame.top - PIN && (down <= right || right > x - frame.left - PIN)) this.map.panBy([0, down]);
    else if (right < x - frame.left - PIN) this.map.panBy([right, 0]);
  }

  pin(place: Place | null) {
    this.marker?.remove();
    this.marker = null;
    if (!place) return;
    const element = Object.assign(document.createElement("div"), { className: "pin" });
    this.marker = new Marker({ element }).setLngLat([place.lon, place.lat]).addTo(this.map);
  }

  async outlines(wanted: boolean, ground: boolean) {
    // the first field must not wait for lines
    await this.first;
    this.outlining.show(wanted, ground);
  }

  async theme(theme: Theme) {
    await this.overlays;
    recolor(this.map, theme);
  }

  /** Whether anything that was asked for is on the way. */
  get busy() {
    return this.pending !== null;
  }

  dispose() {
    this.serial++;
    this.map.remove();
  }
}

/** Where a map opens on an area. */
export const fitted = ([west, south, east, north]: [number, number, number, number]): [
  [number, number],
  [number, number],
] => [
  [west, south],
  [east < west ? east + 360 : east, north],
];
