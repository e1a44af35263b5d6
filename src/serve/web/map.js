// The map: tiles of one field on a canvas, with a graticule. A new field replaces the old one only when all that is
// visible of it is there, so that stepping through time never flickers.

import { MAX_LATITUDE, TILE, project, unproject, wrap } from "./mercator.js";
import { pictureStore, valueStore } from "./tiles.js";
import * as format from "./format.js";

const MAX_ZOOM = 9;
const GRATICULE_STEPS = [45, 30, 15, 10, 5, 2, 1, 0.5];
const LEAST_SPACING = 84;

export class MapView {
  /** `onmove`, `onhover(point, value)`, `onfailure(error)` may be set. */
  constructor(canvas) {
    Object.assign(this, { canvas, context: canvas.getContext("2d"), center: { x: 0.5, y: 0.42 }, zoom: 2 });
    Object.assign(this, { shown: null, next: null, ahead: [], pin: null, cursor: null, dirty: false });
    this.pictures = pictureStore((entry) => this.arrived(entry));
    this.values = valueStore(() => this.read());
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  // --- what is shown ---

  /** Shows a field as soon as its visible tiles are there; resolves then, or when another field takes its place. */
  show(key, address, units) {
    if (this.shown?.key === key) {
      this.settle(null);
      return Promise.resolve(true);
    }
    if (this.next?.key === key) return this.next.promise;
    const field = { key, address, units };
    field.promise = new Promise((resolve) => (field.resolve = resolve));
    this.settle(field);
    this.draw();
    return field.promise;
  }

  /** Forgets what is shown. */
  clear() {
    this.settle(null);
    this.shown = null;
    this.draw();
  }

  settle(field) {
    this.next?.resolve(false);
    this.next = field;
  }

  /** Fields that will be shown soon: their tiles are fetched when nothing else is wanted. */
  prefetch(addresses) {
    this.ahead = addresses;
    this.draw();
  }

  /** Whether what was asked for is on the way. */
  get waiting() {
    return this.next !== null || (this.shown && this.tiles().some((tile) => this.pending(this.shown, tile)));
  }

  pending(field, { z, x, y }) {
    const entry = this.pictures.get(field.address(z, x, y));
    return !entry.ready && !entry.failed;
  }

  arrived(entry) {
    if (entry.failed) this.onfailure?.(entry.failed);
    this.draw();
  }

  // --- the view ---

  get world() {
    return TILE * 2 ** this.zoom;
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    Object.assign(this, { width: Math.max(1, clientWidth), height: Math.max(1, clientHeight) });
    this.ratio = Math.min(3, window.devicePixelRatio || 1);
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.limit();
    this.paint();
  }

  /** Keeps the world over the whole height, and the numbers small. */
  limit() {
    const least = Math.log2(this.height / TILE);
    this.zoom = Math.min(MAX_ZOOM, Math.max(least, this.zoom));
    const half = this.height / 2 / this.world;
    this.center.y = Math.min(1 - half, Math.max(half, this.center.y));
    this.center.x = wrap(this.center.x, 1);
  }

  get view() {
    return { zoom: this.zoom, ...unproject({ x: wrap(this.center.x, 1), y: this.center.y }) };
  }

  set view({ lat, lon, zoom }) {
    this.zoom = zoom;
    this.center = project({ lat, lon });
    this.moved();
  }

  /** Shows an area, as large as there is room beside what covers the map's edges. */
  fit([west, south, east, north]) {
    const [low, high] = [project({ lat: south, lon: west }), project({ lat: north, lon: east })];
    const { top, bottom, left } = this.inset;
    const [width, height] = [Math.max(80, this.width - left), Math.max(80, this.height - top - bottom)];
    const share = Math.max((high.x - low.x) / width, (low.y - high.y) / height);
    this.zoom = Math.log2(0.9 / (share * TILE));
    // the least zoom is the map's own business, and moves the middle
    this.limit();
    const aside = { x: left / 2, y: (top - bottom) / 2 };
    this.center = { x: (low.x + high.x) / 2 - aside.x / this.world, y: (low.y + high.y) / 2 - aside.y / this.world };
    this.moved();
  }

  pan(dx, dy) {
    this.center.x -= dx / this.world;
    this.center.y -= dy / this.world;
    this.moved();
  }

  /** Zooms so that the place under (x, y) stays there. */
  zoomBy(steps, x = this.width / 2, y = this.height / 2) {
    const before = this.locate(x, y);
    this.zoom += steps;
    this.limit();
    this.center.x = before.x - (x - this.width / 2) / this.world;
    this.center.y = before.y - (y - this.height / 2) / this.world;
    this.moved();
  }

  moved() {
    this.limit();
    this.read();
    this.draw();
    this.onmove?.();
  }

  /** The point of the world's square under a point of the canvas. */
  locate(x, y) {
    return { x: this.center.x + (x - this.width / 2) / this.world, y: this.center.y + (y - this.height / 2) / this.world };
  }

  /** Latitude and longitude (-180 to 180) under a point of the canvas. */
  place(x, y) {
    const point = this.locate(x, y);
    return unproject({ x: wrap(point.x, 1), y: point.y });
  }

  // --- the value under the cursor ---

  hover(x, y) {
    this.cursor = x === null ? null : { x, y };
    this.read();
  }

  read() {
    if (!this.cursor || !this.shown) return this.onhover?.(null, null);
    const point = this.locate(this.cursor.x, this.cursor.y);
    const z = this.tileZoom();
    const [column, row] = [wrap(point.x, 1) * 2 ** z, point.y * 2 ** z];
    const [x, y] = [Math.floor(column), Math.floor(row)];
    if (y < 0 || y >= 2 ** z) return this.onhover?.(null, null);
    const entry = this.values.get(this.shown.address(z, x, y, "f32"));
    const pixel = (part, size) => Math.min(size - 1, Math.floor((part % 1) * size));
    const { content } = entry;
    const value = content ? content.at(pixel(column, content.width), pixel(row, content.height)) : null;
    this.onhover?.(unproject({ x: wrap(point.x, 1), y: point.y }), value);
  }

  // --- drawing ---

  draw() {
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.dirty = false;
    const tiles = this.tiles();
    if (this.next && !tiles.map((tile) => this.pending(this.next, tile)).some(Boolean)) {
      const { next } = this;
      this.shown = next;
      this.next = null;
      next.resolve(true);
      this.read();
    }
    const { context, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.imageSmoothingQuality = "high";
    if (this.shown) for (const tile of tiles) this.paintTile(this.shown, tile);
    this.paintGraticule();
    if (this.pin) this.paintPin();
    if (!this.waiting) this.fetchAhead(tiles);
    this.onpaint?.();
  }

  tileZoom() {
    return Math.max(0, Math.round(this.zoom));
  }

  /** The tiles that the canvas shows, with the copy of the world that each is in. */
  tiles() {
    const z = this.tileZoom();
    const count = 2 ** z;
    const [from, to] = [this.locate(0, 0), this.locate(this.width, this.height)];
    const tiles = [];
    for (let y = Math.max(0, Math.floor(from.y * count)); y < Math.min(count, to.y * count); y++) {
      for (let column = Math.floor(from.x * count); column < to.x * count; column++) {
        tiles.push({ z, x: wrap(column, count), y, column });
      }
    }
    const middle = this.center.x * count;
    return tiles.sort((a, b) => Math.abs(a.column + 0.5 - middle) - Math.abs(b.column + 0.5 - middle));
  }

  paintTile(field, { z, x, y, column }) {
    const { context, ratio } = this;
    const size = this.world / 2 ** z;
    // whole device pixels, so that no seam shows between neighbours
    const snap = (value) => Math.round(value * ratio) / ratio;
    const edge = (index, center, extent) => snap(index * size - center * this.world + extent / 2);
    const left = edge(column, this.center.x, this.width);
    const top = edge(y, this.center.y, this.height);
    const width = edge(column + 1, this.center.x, this.width) - left;
    const height = edge(y + 1, this.center.y, this.height) - top;
    for (let up = 0; up <= z; up++) {
      const entry = up === 0 ? this.pictures.get(field.address(z, x, y)) : this.pictures.peek(field.address(z - up, x >> up, y >> up));
      if (!entry?.ready) continue;
      // the part of an ancestor, as long as the tile itself is not there
      const part = TILE / 2 ** up;
      const [sx, sy] = [(x % 2 ** up) * part, (y % 2 ** up) * part];
      context.drawImage(entry.content, sx, sy, part, part, left, top, width, height);
      return;
    }
  }

  paintGraticule() {
    const { context } = this;
    const perDegree = this.world / 360;
    const step = GRATICULE_STEPS.findLast((step) => step * perDegree >= LEAST_SPACING) ?? GRATICULE_STEPS[0];
    const [from, to] = [this.locate(0, 0), this.locate(this.width, this.height)];
    const screenX = (lon) => (lon / 360 + 0.5 - from.x) * this.world;
    const screenY = (lat) => (project({ lat, lon: 0 }).y - from.y) * this.world;
    const line = (strong, points) => {
      // dark on light fields, its pale edge on dark ones
      for (const [width, color] of [[2.2, "#ffffff24"], [strong ? 1.1 : 0.7, strong ? "#0c1822a0" : "#0c182266"]]) {
        context.lineWidth = width;
        context.strokeStyle = color;
        context.beginPath();
        points.forEach(([x, y]) => context.lineTo(x, y));
        context.stroke();
      }
    };
    const label = (text, x, y, align) => {
      context.font = "11px system-ui, sans-serif";
      context.textAlign = align;
      context.textBaseline = "middle";
      context.lineWidth = 2.6;
      context.lineJoin = "round";
      context.strokeStyle = "#ffffffb8";
      context.strokeText(text, x, y);
      context.fillStyle = "#1a2630";
      context.fillText(text, x, y);
    };
    const west = (from.x - 0.5) * 360;
    const east = (to.x - 0.5) * 360;
    const meridians = [];
    for (let lon = Math.ceil(west / step) * step; lon <= east; lon += step) meridians.push(lon);
    const parallels = [];
    for (let lat = Math.ceil(-MAX_LATITUDE / step) * step; lat <= MAX_LATITUDE; lat += step) parallels.push(lat);
    for (const lon of meridians) line(wrap(lon, 360) === 0, [[screenX(lon), 0], [screenX(lon), this.height]]);
    for (const lat of parallels) line(lat === 0, [[0, screenY(lat)], [this.width, screenY(lat)]]);
    const degrees = (value, names) => (value === 0 ? "0°" : `${tidy(Math.abs(value))}° ${value < 0 ? names[0] : names[1]}`);
    for (const lon of meridians) {
      const x = screenX(lon);
      const turned = wrap(lon + 180, 360) - 180;
      if (x > this.inset.left + 24 && x < this.width - 70) label(turned === -180 ? "180°" : degrees(turned, ["W", "E"]), x, this.inset.top + 14, "center");
    }
    for (const lat of parallels) {
      const y = screenY(lat);
      if (y > this.inset.top + 30 && y < this.height - this.inset.bottom - 8) label(degrees(lat, ["S", "N"]), this.width - 8, y, "right");
    }
  }

  /** Edges that cards cover: no labels there. */
  inset = { top: 0, bottom: 0, left: 0 };

  paintPin() {
    const { context } = this;
    const point = project(this.pin);
    const from = this.locate(0, 0);
    const y = (point.y - from.y) * this.world;
    for (let x = (point.x - from.x - Math.floor(point.x - from.x)) * this.world; x < this.width + 20; x += this.world) {
      context.beginPath();
      context.arc(x, y, 6.5, 0, 2 * Math.PI);
      context.fillStyle = "#fff";
      context.strokeStyle = "#10202c";
      context.lineWidth = 3;
      context.stroke();
      context.fill();
      context.beginPath();
      context.arc(x, y, 2.6, 0, 2 * Math.PI);
      context.fillStyle = "#c8321f";
      context.fill();
    }
  }

  fetchAhead(tiles) {
    for (const address of this.ahead) {
      // one field at a time, the nearest in time first
      let waiting = false;
      for (const { z, x, y } of tiles) {
        const entry = this.pictures.get(address(z, x, y));
        if (!entry.ready && !entry.failed) waiting = true;
      }
      if (waiting) return;
    }
  }
}

const tidy = (degrees) => format.tick(degrees);
