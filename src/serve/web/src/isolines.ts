// Isobars near the ground, height contours aloft: which field, how far apart, and the lines as the map takes them.

import type { Forecast, Legend, Variable } from "./api.ts";
import { contours } from "./contours.ts";
import type { Window } from "./floats.ts";
import { tick } from "./format.ts";
import { unproject } from "./mercator.ts";

const GRAVITY = 9.80665;
const NEAR_GROUND = /^(surface|[\d.]+m)$/;

export interface Isolines {
  variable: Variable;
  level: string;
  name: string;
  /** From the variable's units to those of the lines. */
  scale: number;
  /** Between lines, in their units. */
  step: number;
}

/** The lines to draw over a field at a level, or why there are none. */
export function isolinesOf(forecast: Forecast, level: string): Isolines | string {
  const find = (names: string[], at: string) =>
    forecast.variables.find(({ standard_name, levels }) => names.includes(standard_name) && levels.includes(at));
  const pressure =
    find(["air_pressure_at_mean_sea_level", "air_pressure_at_sea_level"], "surface") ??
    find(["surface_air_pressure"], "surface");
  if (pressure && NEAR_GROUND.test(level)) {
    return { variable: pressure, level: "surface", name: "Isobars (hPa)", scale: 0.01, step: 4 };
  }
  const height = find(["geopotential", "geopotential_height"], level);
  if (height) {
    const scale = (height.standard_name === "geopotential" ? 1 / GRAVITY : 1) / 10;
    return { variable: height, level, name: "Height contours (dam)", scale, step: heightStep(level) };
  }
  if (pressure) return { variable: pressure, level: "surface", name: "Isobars (hPa)", scale: 0.01, step: 4 };
  return "This run has neither pressure nor heights at this level.";
}

/** Between height contours, in decametres: as analyses on paper have them. */
function heightStep(level: string): number {
  const pressure = Number.parseFloat(level);
  return pressure >= 700 ? 3 : pressure >= 400 ? 6 : 12;
}

/** Lines through a window, as GeoJSON. */
export function lines(found: Window, { scale, step }: Isolines): GeoJSON.FeatureCollection<GeoJSON.LineString> {
  const { area } = found;
  const perTile = found.width / (area.x1 - area.x0 + 1);
  const count = 2 ** area.z;
  const { width, height, values } = found.width === perTile * count ? around(found) : found;
  const place = ([column, row]: [number, number]): [number, number] => {
    const { lat, lon } = unproject({
      x: (area.x0 + (column + 0.5) / perTile) / count,
      y: (area.y0 + (row + 0.5) / perTile) / count,
    });
    return [lon, lat];
  };
  const features = contours(values, width, height, step / scale)
    .filter(({ points }) => points.length > 3)
    .map(({ value, points }): GeoJSON.Feature<GeoJSON.LineString> => {
      const shown = Math.round((value * scale) / step) * step;
      return {
        type: "Feature",
        geometry: { type: "LineString", coordinates: points.map(place) },
        // every fifth line is heavier
        properties: { label: tick(shown), heavy: Math.round(shown / step) % 5 === 0 },
      };
    });
  return { type: "FeatureCollection", features };
}

/** A window of the whole world, with its first column again behind the last one: lines go on there. */
function around({ width, height, values }: Window) {
  const wider = new Float32Array((width + 1) * height);
  for (let row = 0; row < height; row++) {
    wider.set(values.subarray(row * width, (row + 1) * width), row * (width + 1));
    wider[row * (width + 1) + width] = values[row * width]!;
  }
  return { width: width + 1, height, values: wider };
}

export const empty: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };

/** Where a value lies between the ends of a legend, 0 to 1. */
export const position = (legend: Legend, value: number) =>
  Math.min(1, Math.max(0, (value - legend.low) / (legend.high - legend.low)));
