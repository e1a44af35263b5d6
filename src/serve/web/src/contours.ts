// Lines of equal value through a grid of values: marching squares, and the pieces joined to lines.

export interface Line {
  value: number;
  /** Columns and rows of the grid, fractions between them. */
  points: [number, number][];
  closed: boolean;
}

/** Multiples of `step` between two values. */
export function multiples(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * step);
}

/** Lines at all multiples of `step`; `values` are rows of `width`. No line runs through a cell with a missing corner. */
export function contours(values: Float32Array, width: number, height: number, step: number): Line[] {
  // Pieces by value; each piece joins two edges of cells. An edge has a number: horizontal ones even, vertical ones odd.
  const pieces = new Map<number, Map<number, number[]>>();
  const join = (level: number, a: number, b: number) => {
    const edges = pieces.get(level) ?? new Map<number, number[]>();
    pieces.set(level, edges);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const ends = edges.get(from);
      if (ends) ends.push(to);
      else edges.set(from, [to]);
    }
  };
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x;
      const [a, b, d, c] = [values[at]!, values[at + 1]!, values[at + width]!, values[at + width + 1]!];
      const low = Math.min(a, b, c, d);
      const high = Math.max(a, b, c, d);
      if (!(high - low < Number.POSITIVE_INFINITY)) continue;
      const last = Math.floor(high / step);
      const [top, left, bottom, right] = [2 * at, 2 * at + 1, 2 * (at + width), 2 * (at + 1) + 1];
      for (let level = Math.floor(low / step) + 1; level <= last; level++) {
        const value = level * step;
        const code = (a >= value ? 8 : 0) | (b >= value ? 4 : 0) | (c >= value ? 2 : 0) | (d >= value ? 1 : 0);
        if (code === 0 || code === 15) continue;
        if (code === 5 || code === 10) {
          // a saddle: the middle says which corners belong together
          const joined = (a + b + c + d) / 4 >= value;
          if ((code === 10) === joined) {
            join(level, top, right);
            join(level, left, bottom);
          } else {
            join(level, top, left);
            join(level, right, bottom);
          }
          continue;
        }
        const crossed: number[] = [];
        if (a >= value !== b >= value) crossed.push(top);
        if (b >= value !== c >= value) crossed.push(right);
        if (c >= value !== d >= value) crossed.push(bottom);
        if (d >= value !== a >= value) crossed.push(left);
        join(level, crossed[0]!, crossed[1]!);
      }
    }
  }
  const point = (edge: number, value: number): [number, number] => {
    const at = edge >> 1;
    const [x, y] = [at % width, Math.floor(at / width)];
    const from = values[at]!;
    if (edge % 2 === 0) return [x + (value - from) / (values[at + 1]! - from), y];
    return [x, y + (value - from) / (values[at + width]! - from)];
  };
  const lines: Line[] = [];
  for (const [level, edges] of pieces) {
    const value = level * step;
    const follow = (start: number): Line => {
      const points = [point(start, value)];
      let here = start;
      for (;;) {
        const next = edges.get(here)?.pop();
        if (next === undefined) break;
        const back = edges.get(next)!;
        back.splice(back.indexOf(here), 1);
        points.push(point(next, value));
        here = next;
      }
      return { value, points, closed: here === start };
    };
    // lines that end somewhere begin at an end; what is left are rings
    for (const [edge, ends] of edges) if (ends.length === 1) lines.push(follow(edge));
    for (const [edge, ends] of edges) if (ends.length > 0) lines.push(follow(edge));
  }
  return lines;
}

/** A round step that puts about `count` lines into a range: 1, 2, 4 or 5 times a power of ten. */
export function roundStep(range: number, count: number): number {
  const raw = range / count;
  if (!(raw > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 4, 5, 10].map((factor) => factor * power).find((step) => step >= raw * 0.999) ?? 10 * power;
}
