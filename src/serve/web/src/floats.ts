// Values in the browser: float tiles, kept up to a limit, and put together to the window that a map shows.

import { ask } from "./api.ts";
import { type Place, project, wrap } from "./mercator.ts";

/** Values along a tile's edge. */
export const TILE = 256;
const KEPT = 96;
const MAGIC = 0x56454a52;
const HEADER = 32;

/** A tile's values, rows from the north; NaN where missing. The server's `src/tile/raw.rs` describes the bytes. */
export function decode(bytes: ArrayBuffer): Float32Array {
  const view = new DataView(bytes);
  if (bytes.byteLength < HEADER || view.getUint32(0) !== MAGIC) throw new Error("The server sent no tile.");
  const [start, width, height] = [view.getUint16(6, true), view.getUint16(8, true), view.getUint16(10, true)];
  if (width !== TILE || height !== TILE || bytes.byteLength < start + 4 * width * height) {
    throw new Error(`The server sent a tile of ${width} × ${height} values; ${TILE} × ${TILE} were expected.`);
  }
  return new Float32Array(bytes, start, width * height);
}

const tiles = new Map<string, Promise<Float32Array>>();

/** The values of one tile; asked for once, however many want it. */
export function tile(url: string): Promise<Float32Array> {
  let found = tiles.get(url);
  if (!found) {
    found = ask(url)
      .then((answer) => answer.arrayBuffer())
      .then(decode);
    // what failed is asked for again
    found.catch(() => tiles.delete(url));
  }
  // a Map keeps the order of insertion: what is used moves to the end
  tiles.delete(url);
  tiles.set(url, found);
  for (const old of tiles.keys()) {
    if (tiles.size <= KEPT) break;
    tiles.delete(old);
  }
  return found;
}

/** The address of one tile. `tiles` has those of a field, see [`api.tiles`]. */
export const address = (tiles: string, z: number, x: number, y: number, form = ".f32") =>
  tiles
    .replace("{z}", String(z))
    .replace("{x}", String(wrap(x, 2 ** z)))
    .replace("{y}", String(y))
    .replace("{form}", form);

/** Part of the world at a zoom, in tiles; columns may run on past the world's edge. */
export interface Area {
  z: number;
  x0: number;
  x1: number;
  y0: number;
  y1: number;
}

/** The tiles that hold an area of the map. */
export function area(z: number, west: number, south: number, east: number, north: number): Area {
  const count = 2 ** z;
  const [a, b] = [project({ lat: north, lon: west }), project({ lat: south, lon: east })];
  const row = (y: number) => Math.max(0, Math.min(count - 1, Math.floor(y * count)));
  const x0 = Math.floor(a.x * count);
  // one world is enough: further copies show the same
  const x1 = Math.min(x0 + count - 1, Math.floor(b.x * count));
  return { z, x0, x1: Math.max(x0, x1), y0: row(a.y), y1: row(b.y) };
}

/** Values of an area, rows from the north. */
export interface Window {
  area: Area;
  width: number;
  height: number;
  values: Float32Array;
}

/** A window of a field. Sampled every `stride`-th value. */
export async function read(tiles: string, area: Area, stride: number): Promise<Window> {
  const size = TILE / stride;
  const [columns, rows] = [area.x1 - area.x0 + 1, area.y1 - area.y0 + 1];
  const [width, height] = [columns * size, rows * size];
  const values = new Float32Array(width * height);
  const place = async (row: number, column: number) => {
    const from = await tile(address(tiles, area.z, area.x0 + column, area.y0 + row));
    for (let y = 0; y < size; y++) {
      const [source, target] = [y * stride * TILE, (row * size + y) * width + column * size];
      if (stride === 1) values.set(from.subarray(source, source + TILE), target);
      else for (let x = 0; x < size; x++) values[target + x] = from[source + x * stride]!;
    }
  };
  const all: Promise<void>[] = [];
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) all.push(place(row, column));
  await Promise.all(all);
  return { area, width, height, values };
}

/** The value at a place, from the tile around it. */
export async function valueAt(tiles: string, z: number, place: Place): Promise<number> {
  const point = project(place);
  const count = 2 ** z;
  const [column, row] = [wrap(point.x, 1) * count, point.y * count];
  const [x, y] = [Math.floor(column), Math.floor(row)];
  if (y < 0 || y >= count) return Number.NaN;
  const values = await tile(address(tiles, z, x, y));
  const pixel = (part: number) => Math.min(TILE - 1, Math.floor(part * TILE));
  return values[pixel(row - y) * TILE + pixel(column - x)]!;
}
