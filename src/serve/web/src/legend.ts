// What the colours mean, and where the value under the cursor lies among them.

import type { Legend } from "./api.ts";
import { find } from "./dom.ts";
import * as format from "./format.ts";
import { position } from "./isolines.ts";

export class LegendBar {
  private content: Legend | null = null;
  private units = "";

  constructor(private readonly root: HTMLElement) {}

  show(content: Legend | null) {
    this.content = content;
    find(".legend", this.root).hidden = content === null;
    if (!content) return this.point(null, "");
    this.units = content.units;
    find(".bar", this.root).style.background = `linear-gradient(to right, ${content.colors.join(", ")})`;
    const labels = content.ticks.map((value) => {
      const label = Object.assign(document.createElement("span"), { textContent: format.tick(value) });
      label.style.left = `${100 * position(content, value)}%`;
      return label;
    });
    find(".ticks", this.root).replaceChildren(...labels);
    this.point(null, "");
  }

  /** Marks a value in the legend's units; null for none, NaN for a missing one. */
  point(value: number | null, place: string) {
    const marker = find(".marker", this.root);
    const there = this.content !== null && value !== null && Number.isFinite(value);
    marker.hidden = !there;
    if (there) marker.style.left = `${100 * position(this.content!, value)}%`;
    const range = this.content ? this.content.high - this.content.low : 1;
    // with nothing under the cursor, the units that the colours are in
    const text = there ? `${format.number(value, range)} ${this.units}` : value === null ? this.units : "no data";
    find(".value", this.root).textContent = this.content ? text : "";
    find(".place", this.root).textContent = value === null ? "" : place;
  }
}
