// One variable at one place, through the whole run, drawn as SVG.

import * as format from "./format.js";

const MARGIN = { left: 44, right: 12, top: 18, bottom: 22 };
const SVG = "http://www.w3.org/2000/svg";

const element = (name, attributes, text) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
};

export class Meteogram {
  /** `onpick(step)` is called when a time is clicked, `onclose()` when it is closed. */
  constructor(root) {
    Object.assign(this, { root, plot: root.querySelector(".plot"), data: null });
    root.querySelector(".close").addEventListener("click", () => this.onclose?.());
    new ResizeObserver(() => this.data && this.draw()).observe(this.plot);
  }

  open(title, place) {
    this.root.hidden = false;
    this.root.querySelector("h2").textContent = title;
    this.root.querySelector(".place").textContent = place;
  }

  close() {
    this.root.hidden = true;
    this.data = null;
  }

  /** A sentence in place of the curve. */
  say(text) {
    this.data = null;
    this.plot.classList.add("empty");
    this.plot.textContent = text;
  }

  /** `leads` of the forecast, `values` in the legend's units (null where missing or not published), the current step. */
  show(leads, values, legend, step) {
    if (!values.some((value) => value !== null)) return this.say("No data at this place.");
    this.data = { leads, values, legend, step };
    this.plot.classList.remove("empty");
    this.draw();
  }

  /** Moves the line that marks the map's time. */
  mark(step) {
    if (!this.data) return;
    this.data.step = step;
    this.draw();
  }

  draw() {
    const { leads, values, step } = this.data;
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight];
    if (width < 80 || height < 60) return;
    const end = Math.max(1, leads[leads.length - 1].seconds);
    const x = (seconds) => MARGIN.left + (seconds / end) * (width - MARGIN.left - MARGIN.right);
    const axis = valueAxis(values.filter((value) => value !== null));
    const y = (value) => height - MARGIN.bottom - ((value - axis.low) / (axis.high - axis.low)) * (height - MARGIN.top - MARGIN.bottom);
    const svg = element("svg", { role: "img", "aria-label": this.summary() });
    svg.append(...this.axes(axis, x, y, width, height));
    const points = leads.map((lead, i) => ({ x: x(lead.seconds), y: values[i] === null ? null : y(values[i]) }));
    const published = leads.filter((lead) => lead.published).length;
    if (published < leads.length) {
      const from = published > 0 ? points[published - 1].x : MARGIN.left;
      svg.append(element("rect", { class: "pending", x: from, y: MARGIN.top, width: width - MARGIN.right - from, height: height - MARGIN.top - MARGIN.bottom }));
    }
    for (const piece of pieces(points)) {
      const line = piece.map((point) => `${point.x.toFixed(1)},${point.y.toFixed(1)}`).join(" ");
      const base = height - MARGIN.bottom;
      svg.append(element("polygon", { class: "area", points: `${piece[0].x},${base} ${line} ${piece[piece.length - 1].x},${base}` }));
      svg.append(element("polyline", { class: "line", points: line }));
    }
    svg.append(...this.reading(points, step, width, height));
    svg.addEventListener("click", (event) => {
      const offset = event.clientX - svg.getBoundingClientRect().left;
      const distance = (i) => Math.abs(points[i].x - offset);
      this.onpick?.(points.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0));
    });
    this.plot.replaceChildren(svg);
  }

  axes(axis, x, y, width, height) {
    const nodes = [];
    for (const value of axis.ticks) {
      nodes.push(element("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
      nodes.push(element("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, format.tick(value)));
    }
    const { leads } = this.data;
    const start = Date.parse(leads[0].valid_time);
    const end = Date.parse(leads[leads.length - 1].valid_time);
    const day = 86_400_000;
    const days = Math.max(1, Math.ceil((end - start) / day / ((width - MARGIN.left) / 62)));
    for (let time = Math.ceil(start / day) * day, i = 0; time <= end; time += day, i++) {
      const at = x((time - start) / 1000);
      nodes.push(element("line", { class: "day", x1: at, x2: at, y1: MARGIN.top, y2: height - MARGIN.bottom }));
      if (i % days === 0 && at < width - 40) nodes.push(element("text", { x: at + 3, y: height - 6 }, format.day(new Date(time))));
    }
    return nodes;
  }

  /** The map's time on the curve, with the value there. */
  reading(points, step, width, height) {
    const point = points[step];
    if (!point) return [];
    const nodes = [element("line", { class: "now", x1: point.x, x2: point.x, y1: MARGIN.top, y2: height - MARGIN.bottom })];
    if (point.y === null) return nodes;
    const anchor = point.x > width - 90 ? "end" : point.x < 90 ? "start" : "middle";
    const text = `${format.number(this.data.values[step], this.data.legend)} ${this.data.legend.units}`;
    nodes.push(element("circle", { class: "dot", cx: point.x, cy: point.y, r: 5 }));
    nodes.push(element("text", { class: "reading", x: point.x, y: 10, "text-anchor": anchor }, text));
    return nodes;
  }

  /** The curve in words, for those who do not see it. */
  summary() {
    const { values, legend } = this.data;
    const there = values.filter((value) => value !== null);
    const text = (value) => format.number(value, legend);
    return `From ${text(there[0])} to ${text(there[there.length - 1])} ${legend.units}; lowest ${text(Math.min(...there))}, highest ${text(Math.max(...there))}.`;
  }
}

/** Round values that enclose the data. */
function valueAxis(values) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const least = Math.max(Math.abs(high) * 1e-4, 1e-9);
  if (high - low < least) [low, high] = [low - least, high + least];
  const raw = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw);
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { low: first * step, high: last * step, ticks };
}

/** Points in a row without a gap. */
function pieces(points) {
  const found = [[]];
  for (const point of points) {
    if (point.y === null) found.push([]);
    else found[found.length - 1].push(point);
  }
  return found.filter((piece) => piece.length > 0);
}
