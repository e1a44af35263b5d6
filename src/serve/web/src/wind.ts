// Wind as barbs: half a line for 5 knots, a line for 10, a triangle for 50; the staff points to where the wind comes from.

import type { Forecast, Variable } from "./api.ts";
import { TILE, type Window } from "./floats.ts";
import { unproject } from "./mercator.ts";

const KNOTS = 3600 / 1852;
/** The strongest barb that is drawn; what is stronger looks like it. */
export const STRONGEST = 150;
/** Barbs along a tile's edge. */
const PER_TILE = 8;

/** The wind at a level of a forecast: to east and north; or speed and direction, where components lie along a grid's axes. */
export interface Wind {
  parts: [Variable, Variable];
  polar: boolean;
}

/** The wind to draw, or why there is none. */
export function windOf(forecast: Forecast, level: string): Wind | string {
  const find = (name: string) =>
    forecast.variables.find(({ standard_name, levels }) => standard_name === name && levels.includes(level));
  // a level of its own is usual for the wind near the ground
  const near = ["surface", "2m"].includes(level) ? "10m" : level;
  const at = (name: string) =>
    find(name) ??
    forecast.variables.find(({ standard_name, levels }) => standard_name === name && levels.includes(near));
  const [u, v] = [at("eastward_wind"), at("northward_wind")];
  if (u && v) return { parts: [u, v], polar: false };
  const [speed, from] = [at("wind_speed"), at("wind_from_direction")];
  if (speed && from) return { parts: [speed, from], polar: true };
  return "This run has no wind at this level.";
}

/** The level that both parts are taken from. */
export const windLevel = ({ parts }: Wind, level: string) => (parts[0].levels.includes(level) ? level : "10m");

/** Speed in knots and direction of a wind whose parts have these values. */
export function told({ polar }: Wind, first: number, second: number): { knots: number; from: number } {
  return polar ? { knots: first * KNOTS, from: second % 360 } : speedAndDirection(first, second);
}

/** Speed in knots, and the direction that the wind comes from in degrees, clockwise from north. */
export function speedAndDirection(u: number, v: number): { knots: number; from: number } {
  return { knots: Math.hypot(u, v) * KNOTS, from: ((Math.atan2(-u, -v) * 180) / Math.PI + 360) % 360 };
}

/** The name of the barb for a speed: to the nearest five knots, with its feathers as on that side of the equator. */
export function barbName(knots: number, latitude: number): string {
  const rounded = Math.min(STRONGEST, 5 * Math.round(knots / 5));
  return `barb-${latitude < 0 ? "s" : "n"}-${rounded}`;
}

/** How many triangles, lines and half lines make up a speed. */
export function feathers(knots: number): { fifties: number; tens: number; fives: number } {
  const fifties = Math.floor(knots / 50);
  const tens = Math.floor((knots - 50 * fifties) / 10);
  return { fifties, tens, fives: Math.floor((knots - 50 * fifties - 10 * tens) / 5) };
}

/** Barbs on a lattice that stands still when the map is moved, as points with what to draw there. */
export function barbs(wind: Wind, first: Window, second: Window): GeoJSON.FeatureCollection<GeoJSON.Point> {
  const { area, width, height } = first;
  const perTile = width / (area.x1 - area.x0 + 1);
  const spacing = perTile / PER_TILE;
  const features: GeoJSON.Feature<GeoJSON.Point>[] = [];
  const scale = 1 / perTile / 2 ** area.z;
  for (let row = spacing / 2; row < height; row += spacing) {
    for (let column = spacing / 2; column < width; column += spacing) {
      const at = Math.floor(row) * width + Math.floor(column);
      const [a, b] = [first.values[at]!, second.values[at]!];
      if (Number.isNaN(a) || Number.isNaN(b)) continue;
      const position = { x: area.x0 / 2 ** area.z + column * scale, y: area.y0 / 2 ** area.z + row * scale };
      const { lat, lon } = unproject(position);
      const { knots, from } = told(wind, a, b);
      features.push({
        type: "Feature",
        geometry: { type: "Point", coordinates: [lon, lat] },
        properties: { barb: barbName(knots, lat), from },
      });
    }
  }
  return { type: "FeatureCollection", features };
}

/** Values that a tile gives for barbs: every one of them is drawn from one. */
export const STRIDE = TILE / PER_TILE / 2;

const SIZE = 56;
const RATIO = 2;

/** Pictures of all barbs, by name. Dark with a pale edge, to be seen on any colour. */
export function pictures(): Map<string, ImageData> {
  const found = new Map<string, ImageData>();
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE * RATIO, height: SIZE * RATIO });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return found;
  for (const side of ["n", "s"]) {
    for (let knots = 0; knots <= STRONGEST; knots += 5) {
      context.setTransform(RATIO, 0, 0, RATIO, 0, 0);
      context.clearRect(0, 0, SIZE, SIZE);
      context.translate(SIZE / 2, SIZE / 2);
      if (side === "s") context.scale(-1, 1);
      context.lineCap = context.lineJoin = "round";
      for (const [color, width] of [
        ["#ffffffb0", 3.4],
        ["#0d1a26", 1.5],
      ] as const) {
        Object.assign(context, { strokeStyle: color, fillStyle: color, lineWidth: width });
        draw(context, knots);
      }
      found.set(`barb-${side}-${knots}`, context.getImageData(0, 0, SIZE * RATIO, SIZE * RATIO));
    }
  }
  return found;
}

const STAFF = 24;
const FEATHER = 9;

/** Around the middle, for wind from the north: the staff goes up, its feathers to the right. */
function draw(context: CanvasRenderingContext2D, knots: number) {
  context.beginPath();
  if (knots === 0) {
    context.arc(0, 0, 3.2, 0, 2 * Math.PI);
    context.stroke();
    return;
  }
  context.moveTo(0, 0);
  context.lineTo(0, -STAFF);
  context.stroke();
  const { fifties, tens, fives } = feathers(knots);
  let y = -STAFF;
  for (let i = 0; i < fifties; i++, y += 6) {
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(FEATHER, y + 1);
    context.lineTo(0, y + 5);
    context.closePath();
    context.fill();
    context.stroke();
  }
  const line = (length: number) => {
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(length, y - 0.4 * length);
    context.stroke();
    y += 4;
  };
  for (let i = 0; i < tens; i++) line(FEATHER);
  // half a line alone stands a little down the staff, or it would look like a whole one
  if (fifties + tens === 0) y += 4;
  for (let i = 0; i < fives; i++) line(FEATHER / 2);
}
