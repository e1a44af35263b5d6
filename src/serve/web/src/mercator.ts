// The map's projection: spherical Mercator, the world a square from (0, 0) in the north-west to (1, 1).

export interface Place {
  lat: number;
  lon: number;
}

export interface Point {
  x: number;
  y: number;
}

export const MAX_LATITUDE = 85.0511287798066;

export function project({ lat, lon }: Place): Point {
  const sine = Math.sin((Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, lat)) * Math.PI) / 180);
  return { x: lon / 360 + 0.5, y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI) };
}

export function unproject({ x, y }: Point): Place {
  return { lat: (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI, lon: (x - 0.5) * 360 };
}

/** Remainder that is never negative: which copy of the world something is in does not matter. */
export const wrap = (value: number, size: number) => ((value % size) + size) % size;
