// The time: slider over all steps of the run, play, and what is published so far.

import * as format from "./format.js";

const FRAME_MS = 380;

export class Timeline {
  /** `onstep(step)` is called when the person changes the time; it resolves when the map shows it. */
  constructor(root, note) {
    const find = (selector) => root.querySelector(selector);
    Object.assign(this, { root, note, leads: [], step: 0, playing: false });
    Object.assign(this, { slider: find("#time"), valid: find("#valid"), lead: find("#lead"), days: find(".days"), button: find("#play") });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.button.addEventListener("click", () => this.toggle());
    find("#previous").addEventListener("click", () => this.move(-1));
    find("#next").addEventListener("click", () => this.move(1));
    new ResizeObserver(() => this.drawDays()).observe(this.days);
  }

  get published() {
    return this.leads.filter((lead) => lead.published).length;
  }

  get current() {
    return this.leads[this.step];
  }

  /** The steps of a run; called again while it goes on. */
  show(leads, runName) {
    Object.assign(this, { leads, runName });
    this.root.hidden = false;
    this.slider.max = leads.length - 1;
    // The track's ends lie half a thumb inside the slider.
    const done = this.published > 0 ? ((this.published - 1) / Math.max(1, leads.length - 1)) * 100 : 0;
    const hatch = "repeating-linear-gradient(-45deg, var(--hatch) 0 3px, transparent 3px 7px)";
    const all = this.published === leads.length;
    const fill = `linear-gradient(to right, var(--solid) ${all ? 100 : done}%, transparent 0)`;
    this.slider.style.setProperty("--track", all ? fill : `${fill}, ${hatch}`);
    this.step = Math.max(0, Math.min(this.step, this.published - 1));
    this.drawDays();
    this.describe();
  }

  drawDays() {
    const { leads } = this;
    if (leads.length < 2) return this.days.replaceChildren();
    const [start, end] = [leads[0], leads[leads.length - 1]].map((lead) => Date.parse(lead.valid_time));
    const day = 86_400_000;
    const every = Math.max(1, Math.ceil((end - start) / day / (this.days.clientWidth / 56)));
    const labels = [];
    for (let time = Math.ceil(start / day) * day, i = 0; time < end; time += day, i++) {
      const label = document.createElement("span");
      label.style.left = `${((time - start) / (end - start)) * 100}%`;
      if (i % every === 0) label.textContent = format.day(new Date(time));
      labels.push(label);
    }
    this.days.replaceChildren(...labels);
  }

  describe() {
    const { current } = this;
    if (!current) return;
    const valid = new Date(current.valid_time);
    this.valid.textContent = format.time(valid).replace(/ \d{4},/, ",") + " UTC";
    this.valid.dateTime = current.valid_time;
    this.lead.textContent = `${format.lead(current.lead)} · run ${this.runName}`;
    this.slider.value = this.step;
    this.slider.setAttribute("aria-valuetext", `${format.time(valid)} UTC, ${format.lead(current.lead)}, step ${this.step + 1} of ${this.leads.length}`);
  }

  /** Goes to a step that is published; the nearest one otherwise, and says so. */
  go(step) {
    const last = this.published - 1;
    if (step > last) {
      const { lead } = this.leads[Math.min(step, this.leads.length - 1)] ?? {};
      if (step < this.leads.length) this.note(`${format.lead(lead)} is not there yet: ${this.published} of ${this.leads.length} steps so far`);
    }
    this.step = Math.max(0, Math.min(step, last));
    this.describe();
    return this.onstep?.(this.step);
  }

  move(steps) {
    this.stop();
    const next = this.step + steps;
    if (next >= 0 && next < this.leads.length) this.go(next);
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  stop() {
    this.playing = false;
    this.button.setAttribute("aria-pressed", "false");
    this.button.setAttribute("aria-label", "Play");
  }

  /** Step after step, each when its frame is there and not before the eye has had the last; round and round. */
  async play() {
    if (this.published < 2) return;
    this.playing = true;
    this.button.setAttribute("aria-pressed", "true");
    this.button.setAttribute("aria-label", "Pause");
    while (this.playing) {
      const pause = new Promise((resolve) => setTimeout(resolve, this.step === this.published - 1 ? 2 * FRAME_MS : FRAME_MS));
      await Promise.all([pause, this.go((this.step + 1) % this.published)]);
    }
  }
}
