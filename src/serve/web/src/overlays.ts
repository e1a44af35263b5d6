// Wind barbs and isolines over a field: made here, from values.

import type { GeoJSONSource, Map as MapLibre } from "maplibre-gl";
import * as api from "./api.ts";
import { area, read, type Window } from "./floats.ts";
import { empty, type Isolines, isolinesOf, lines } from "./isolines.ts";
import type { Frame } from "./pane.ts";
import { barbName, barbs, pictures, STRIDE, type Wind, windLevel, windOf } from "./wind.ts";

/** Values of a tile from one sample to the next: lines are smooth with half of them. */
const LINE_STRIDE = 2;

/** What barbs and lines are made from. */
interface Values {
  wind: [Wind, Window, Window] | null;
  lines: { window: Window; isolines: Isolines } | null;
}

export const NO_OVERLAYS: Values = { wind: null, lines: null };

export class Overlays {
  constructor(private readonly map: MapLibre) {}

  /** The layers, when something is to be drawn in them: the first field must not wait for them. */
  private addLayers() {
    const { map } = this;
    if (map.getSource("isolines")) return;
    map.addSource("isolines", { type: "geojson", data: empty, tolerance: 0.5 });
    map.addSource("barbs", { type: "geojson", data: empty });
    map.addLayer({
      id: "isolines",
      type: "line",
      source: "isolines",
      layout: { "line-join": "round" },
      paint: { "line-color": "#101820", "line-opacity": 0.9, "line-width": ["case", ["get", "heavy"], 1.7, 0.9] },
    });
    map.addLayer({
      id: "isoline-labels",
      type: "symbol",
      source: "isolines",
      layout: {
        "symbol-placement": "line",
        "symbol-spacing": 280,
        "text-field": ["get", "label"],
        // a font of the person's own: none is fetched
        "text-font": ["system-ui, Noto Sans, sans-serif"],
        "text-size": 12,
        "text-padding": 4,
        "text-max-angle": 40,
      },
      paint: { "text-color": "#101820", "text-halo-color": "#ffffffd0", "text-halo-width": 1.6 },
    });
    map.addLayer({
      id: "barbs",
      type: "symbol",
      source: "barbs",
      layout: {
        "icon-image": ["get", "barb"],
        "icon-rotate": ["get", "from"],
        "icon-rotation-alignment": "map",
        "icon-allow-overlap": true,
        "icon-ignore-placement": true,
      },
    });
  }

  /** The values of a frame for what the map shows now. */
  async values({ forecast, level, step, over, ...frame }: Frame): Promise<Values> {
    const wind = frame.wind ? windOf(forecast, level) : "";
    const isolines = frame.lines ? isolinesOf(forecast, level) : "";
    const bounds = this.map.getBounds();
    const z = Math.max(0, Math.floor(this.map.getZoom() + 0.3));
    const where = area(z, bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth());
    const at = ({ name }: api.Variable, level: string, stride: number) =>
      read(api.tiles(forecast.id, name, level, forecast.leads[step]!.lead, over), where, stride);
    const barbLevel = typeof wind === "string" ? "" : windLevel(wind, level);
    const [first, second, line] = await Promise.all([
      typeof wind === "string" ? null : at(wind.parts[0], barbLevel, STRIDE),
      typeof wind === "string" ? null : at(wind.parts[1], barbLevel, STRIDE),
      typeof isolines === "string" ? null : at(isolines.variable, isolines.level, LINE_STRIDE),
    ]);
    return {
      wind: first && second && typeof wind !== "string" ? [wind, first, second] : null,
      lines: line && typeof isolines !== "string" ? { window: line, isolines } : null,
    };
  }

  show({ wind, lines: found }: Values) {
    if (wind || found) this.addLayers();
    if (wind) this.addPictures();
    this.setData("barbs", wind ? barbs(...wind) : empty);
    this.setData("isolines", found ? lines(found.window, found.isolines) : empty);
  }

  clear() {
    this.show(NO_OVERLAYS);
  }

  /** The pictures of barbs, when the first are wanted. */
  private addPictures() {
    if (this.map.hasImage(barbName(0, 0))) return;
    for (const [name, picture] of pictures()) this.map.addImage(name, picture, { pixelRatio: 2 });
  }

  private setData(source: string, data: GeoJSON.FeatureCollection) {
    this.map.getSource<GeoJSONSource>(source)?.setData(data);
  }
}
