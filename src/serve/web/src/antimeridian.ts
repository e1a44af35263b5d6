// Lines that pass the 180th meridian: they go on beyond it, and not back around the world.

import type { Position } from "geojson";

/** The same line with longitudes that run on where they would jump. */
export function unbroken(line: Position[]): Position[] {
  let turns = 0;
  return line.map(([lon, lat], i) => {
    const before = line[i - 1]?.[0] ?? lon!;
    if (lon! - before > 180) turns--;
    if (lon! - before < -180) turns++;
    return [lon! + 360 * turns, lat!];
  });
}

/** The same for a ring; one around a pole is closed along it. */
export function closed(ring: Position[]): Position[] {
  const line = unbroken(ring);
  const [first, last] = [line[0], line.at(-1)];
  if (!first || !last || Math.abs(last[0]! - first[0]!) < 180) return line;
  const pole = Math.sign(first[1]!) * 90;
  return [...line, [last[0]!, pole], [first[0]!, pole], first];
}
