// What the colours mean, and where the value under the cursor lies among them.

import * as format from "./format.js";

export class Legend {
  constructor(root) {
    const find = (selector) => root.querySelector(selector);
    Object.assign(this, { root, content: null, title: find(".title"), bar: find(".bar"), marker: find(".marker") });
    Object.assign(this, { ticks: find(".ticks"), output: find(".value") });
  }

  /** `content` as /legends gives it. */
  show(content, title) {
    Object.assign(this, { content });
    this.root.hidden = false;
    this.title.textContent = `${title}, ${content.units}`;
    this.bar.style.background = `linear-gradient(to right, ${content.colors.join(", ")})`;
    this.ticks.replaceChildren(
      ...content.ticks.map((value) => {
        const label = document.createElement("span");
        label.textContent = format.tick(value);
        label.style.left = `${this.position(value)}%`;
        return label;
      }),
    );
    this.point(null);
  }

  position(value) {
    const { low, high } = this.content;
    return 100 * Math.min(1, Math.max(0, (value - low) / (high - low)));
  }

  /** From the variable's units to the legend's. */
  shown(value) {
    const { scale, offset } = this.content.display;
    return value * scale + offset;
  }

  text(value) {
    return `${format.number(this.shown(value), this.content)} ${this.content.units}`;
  }

  /** Marks the value under the cursor; null for none, NaN for a missing one. */
  point(value) {
    const there = this.content !== null && value !== null && Number.isFinite(value);
    this.marker.hidden = !there;
    if (there) this.marker.style.left = `${this.position(this.shown(value))}%`;
    this.output.textContent = there ? this.text(value) : value === null ? "" : "no data";
  }
}
