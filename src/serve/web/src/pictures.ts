// A field as pictures: which tiles a map shows, and fetching them before they are wanted.

import type { Forecast } from "./api.ts";
import { type Area, address, area } from "./floats.ts";
import { project, unproject } from "./mercator.ts";

/** Pixels of a tile, which are the map's own at its zoom. Few large tiles are there sooner than many small ones. */
export const SIZE = 512;
export const FORM = "@2x.png";
export const MAX_ZOOM = 9;

/** Where a map looks. */
export interface Camera {
  zoom: number;
  lat: number;
  lon: number;
}

/** The zoom from which on tiles show nothing new: three doublings beyond the grid's own spacing. */
export function deepest({ bounds: [west, , east], columns }: Forecast["grid"]): number {
  const spacing = ((((east - west) % 360) + 360) % 360 || 360) / columns;
  const own = Math.log2(360 / spacing / SIZE);
  return Math.max(2, Math.min(MAX_ZOOM, Math.ceil(own) + 3));
}

/** The tiles that a map of so many pixels shows of a grid. */
export function seen({ zoom, lat, lon }: Camera, width: number, height: number, grid: Forecast["grid"]): Area {
  const middle = project({ lat, lon });
  const corner = (side: number) => {
    const half = (side / SIZE) * 2 ** -zoom;
    return unproject({ x: middle.x + half * (width / 2), y: middle.y + half * (height / 2) });
  };
  const [from, to] = [corner(-1), corner(1)];
  const z = Math.max(0, Math.min(deepest(grid), Math.round(zoom)));
  return area(z, from.lon, to.lat, to.lon, from.lat);
}

/** Fetches tiles: the browser keeps them, a published step never changes. */
export function fetchAhead(tiles: string, { z, x0, x1, y0, y1 }: Area, priority: RequestPriority) {
  const jobs: Promise<unknown>[] = [];
  for (let y = y0; y <= y1; y++) {
    for (let x = x0; x <= x1; x++) jobs.push(fetch(address(tiles, z, x, y, FORM), { priority }));
  }
  return Promise.allSettled(jobs);
}
