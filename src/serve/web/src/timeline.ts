// The time: a slider over all steps of the run, play, and what is published so far.

import type { Lead } from "./api.ts";
import { find } from "./dom.ts";
import * as format from "./format.ts";
import { note } from "./notices.ts";

const FRAME_MS = 380;

export class Timeline {
  leads: Lead[] = [];
  step = 0;
  playing = false;
  zone: format.Zone = "utc";
  private readonly slider: HTMLInputElement;
  /** Called when the person changes the time; resolves when the map shows it. */
  onstep: (step: number) => Promise<unknown> = () => Promise.resolve();

  constructor(private readonly root: HTMLElement) {
    this.slider = find<HTMLInputElement>("#time", root);
    this.slider.addEventListener("input", () => {
      this.stop();
      this.go(Number(this.slider.value));
    });
    find("#play", root).addEventListener("click", () => this.toggle());
    find("#previous", root).addEventListener("click", () => this.move(-1));
    find("#next", root).addEventListener("click", () => this.move(1));
    new ResizeObserver(() => this.drawDays()).observe(find(".days", root));
  }

  /** Published steps: the first so many. */
  get published(): number {
    return this.leads.filter((lead) => lead.published).length;
  }

  get current(): Lead | undefined {
    return this.leads[this.step];
  }

  /** The steps of a run; called again while it goes on. `time` is where to stand, if there is something. */
  show(leads: Lead[], time: string | null) {
    this.leads = leads;
    this.root.hidden = false;
    this.slider.max = String(leads.length - 1);
    const last = Math.max(0, this.published - 1);
    const done = (100 * last) / Math.max(1, leads.length - 1);
    const hatch = "repeating-linear-gradient(-45deg, var(--hatch) 0 3px, transparent 3px 7px)";
    const all = this.published === leads.length;
    const fill = `linear-gradient(to right, var(--solid) ${all ? 100 : done}%, transparent 0)`;
    this.slider.style.setProperty("--track", all ? fill : `${fill}, ${hatch}`);
    this.step = Math.min(last, nearest(leads, time));
    this.draw();
  }

  /** All that depends on the step and the zone. */
  draw() {
    this.drawDays();
    this.describe();
  }

  private drawDays() {
    const { leads, zone } = this;
    const days = find(".days", this.root);
    if (leads.length < 2) return days.replaceChildren();
    const [start, end] = [leads[0]!, leads.at(-1)!].map((lead) => Date.parse(lead.valid_time)) as [number, number];
    const day = 86_400_000;
    const every = Math.max(1, Math.ceil((end - start) / day / (days.clientWidth / 58)));
    const labels: HTMLElement[] = [];
    let at = format.nextMidnight(new Date(start), zone);
    for (let i = 0; at.getTime() < end; i++) {
      const label = document.createElement("span");
      label.style.left = `${((at.getTime() - start) / (end - start)) * 100}%`;
      if (i % every === 0) label.textContent = format.day(at, zone);
      labels.push(label);
      at = format.nextMidnight(new Date(at.getTime() + 1), zone);
    }
    days.replaceChildren(...labels);
  }

  private describe() {
    const { current, zone } = this;
    if (!current) return;
    const valid = new Date(current.valid_time);
    const other = zone === "utc" ? "local" : "utc";
    const text = (zone: format.Zone) => `${format.time(valid, zone)} ${format.zoneName(valid, zone)}`;
    const clock = find<HTMLTimeElement>("#valid", this.root);
    clock.textContent = text(zone);
    clock.dateTime = current.valid_time;
    find("#lead", this.root).textContent = format.lead(current.lead);
    // where both zones are one, once is enough
    find("#other", this.root).textContent = text(other) === text(zone) ? "" : text(other);
    this.slider.value = String(this.step);
    const words = `${text(zone)}, ${format.lead(current.lead)}, step ${this.step + 1} of ${this.leads.length}`;
    this.slider.setAttribute("aria-valuetext", words);
  }

  /** Goes to a step that is published; the nearest one otherwise, and says so. */
  go(step: number): Promise<unknown> {
    const last = this.published - 1;
    const wanted = this.leads[step];
    if (step > last && wanted) {
      note(`${format.lead(wanted.lead)} is not there yet: ${this.published} of ${this.leads.length} steps so far`);
    }
    this.step = Math.max(0, Math.min(step, last));
    this.describe();
    return this.onstep(this.step);
  }

  move(steps: number) {
    this.stop();
    const next = this.step + steps;
    if (next >= 0 && next < this.leads.length) this.go(next);
  }

  toggle() {
    if (this.playing) this.stop();
    else this.play();
  }

  stop() {
    this.sign(false);
  }

  private sign(playing: boolean) {
    this.playing = playing;
    const button = find("#play", this.root);
    button.setAttribute("aria-pressed", String(playing));
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  /** Step after step, each when its frame is there and not before the eye has had the last; round and round. */
  async play() {
    if (this.published < 2) return note("There is one step so far: nothing to play.");
    this.sign(true);
    while (this.playing) {
      const long = this.step === this.published - 1 ? 2 * FRAME_MS : FRAME_MS;
      const pause = new Promise((resolve) => setTimeout(resolve, long));
      await Promise.all([pause, this.go((this.step + 1) % this.published)]);
    }
  }
}

/** The step whose time is nearest to a time; the first where none is wanted. */
export function nearest(leads: Lead[], time: string | null): number {
  if (time === null) return 0;
  const wanted = Date.parse(time);
  const distance = ({ valid_time }: Lead) => Math.abs(Date.parse(valid_time) - wanted);
  return leads.reduce((best, lead, i) => (distance(lead) < distance(leads[best]!) ? i : best), 0);
}

/** The step that is valid at a time, if one is. */
export function stepAt(leads: Lead[], time: string): number | null {
  const found = leads.findIndex(({ valid_time }) => Date.parse(valid_time) === Date.parse(time));
  return found >= 0 ? found : null;
}
