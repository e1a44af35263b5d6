// One run minus the one before, at the same time: tiles that are computed here, from both runs' values.

import { addProtocol } from "maplibre-gl";
import type { Legend } from "./api.ts";
import { roundStep } from "./contours.ts";
import { address, TILE, tile } from "./floats.ts";

export interface Difference {
  /** Where the tiles of both are. */
  newer: string;
  older: string;
  /** Colours reach from `-reach` to `reach`, in the variable's units. */
  reach: number;
}

/** Blue for less, near-white for equal, red for more: the server's diverging palette. */
export const DIVERGING = ["#123a7c", "#3f7fbe", "#9cc4e0", "#f3f3f0", "#f0b59b", "#cf5b4b", "#7d1230"];

const SCHEME = "difference";
/** Differences that are shown, by a number: addresses of tiles must not grow with what they are made from. */
const shown = new Map<string, Difference>();
let last = 0;

/** The address of a difference's tiles, for the map. */
export function differenceTiles(difference: Difference): string {
  const key = [difference.newer, difference.older, difference.reach].join("|");
  const known = [...shown].find(([, other]) => [other.newer, other.older, other.reach].join("|") === key);
  const number = known?.[0] ?? String(++last);
  shown.set(number, difference);
  return `${SCHEME}://${number}/{z}/{x}/{y}`;
}

/** How far differences are shown: a sixth of what the legend spans. */
export function reach(legend: Legend): number {
  const shownReach = roundStep((legend.high - legend.low) / 6, 1);
  return shownReach / Math.abs(legend.display.scale);
}

/** The legend of a difference: offsets cancel out. */
export function differenceLegend(legend: Legend): Legend {
  const most = reach(legend) * Math.abs(legend.display.scale);
  return {
    units: legend.units,
    display: { scale: legend.display.scale, offset: 0 },
    low: -most,
    high: most,
    ticks: [-1, -0.5, 0, 0.5, 1].map((part) => part * most),
    colors: DIVERGING,
    under: DIVERGING[0]!,
    over: DIVERGING.at(-1)!,
  };
}

const channels = (color: string) => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));

/** 256 colours between the stops, as RGBA. */
export function ramp(stops: string[]): Uint8ClampedArray {
  const colors = stops.map(channels);
  const table = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) {
    const position = (i / 255) * (colors.length - 1);
    const at = Math.min(colors.length - 2, Math.floor(position));
    const [from, to] = [colors[at]!, colors[at + 1]!];
    for (let k = 0; k < 3; k++) table[4 * i + k] = from[k]! + (to[k]! - from[k]!) * (position - at);
    table[4 * i + 3] = 255;
  }
  return table;
}

/** Colours of `newer - older`, RGBA; clear where either is missing. */
export function paint(
  newer: Float32Array,
  older: Float32Array,
  reach: number,
  table: Uint8ClampedArray,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * newer.length);
  for (let i = 0; i < newer.length; i++) {
    const difference = newer[i]! - older[i]!;
    if (Number.isNaN(difference)) continue;
    const entry = 4 * Math.round(255 * Math.max(0, Math.min(1, 0.5 + difference / (2 * reach))));
    for (let k = 0; k < 4; k++) pixels[4 * i + k] = table[entry + k]!;
  }
  return pixels;
}

export function install() {
  const table = ramp(DIVERGING);
  addProtocol(SCHEME, async ({ url }) => {
    const [number, ...tileOf] = url.slice(`${SCHEME}://`.length).split("/");
    const difference = shown.get(number ?? "");
    if (!difference) throw new Error("This difference is not shown any more.");
    const [z, x, y] = tileOf.map(Number) as [number, number, number];
    const from = (tiles: string) => tile(address(tiles, z, x, y));
    const [newer, older] = await Promise.all([from(difference.newer), from(difference.older)]);
    const pixels = paint(newer, older, difference.reach, table);
    return { data: await createImageBitmap(new ImageData(pixels, TILE, TILE)) };
  });
}
