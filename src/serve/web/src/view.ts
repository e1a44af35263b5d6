// A map with what stands on it: which field of which run, its legend, what is missing.

import type { Forecast, Legend } from "./api.ts";
import * as api from "./api.ts";
import { differenceLegend, reach } from "./difference.ts";
import { find } from "./dom.ts";
import * as format from "./format.ts";
import { LegendBar } from "./legend.ts";
import * as members from "./members.ts";
import type { Place } from "./mercator.ts";
import { settled } from "./opening.ts";
import { type Frame, Pane } from "./pane.ts";
import type { PaneChoice } from "./permalink.ts";
import type { Camera } from "./pictures.ts";
import type { Theme } from "./theme.ts";
import { stepAt } from "./timeline.ts";
import { fieldTitle, runTime, variableOf } from "./titles.ts";

/** What is drawn over the field. */
interface Over {
  wind: boolean;
  lines: boolean;
}

export class View {
  readonly pane: Pane;
  forecast: Forecast | null = null;
  /** The run before, where the difference to it is shown. */
  older: Forecast | null = null;
  choice: PaneChoice = { forecast: "", variable: "", level: "", member: members.CONTROL, difference: false };
  private readonly bar: LegendBar;
  private legend: Legend | null = null;
  private serial = 0;

  constructor(
    readonly root: HTMLElement,
    theme: Theme,
    view: Camera,
  ) {
    this.pane = new Pane(find(".map", root), theme, view);
    this.bar = new LegendBar(find(".caption", root));
  }

  settle(wanted: Partial<PaneChoice>) {
    const { forecast } = this;
    if (!forecast) return;
    this.choice = settled(forecast, wanted, this.choice);
  }

  /** Shows the chosen field at a time, with what it is. */
  async show(time: string | null, overlays: Over): Promise<void> {
    const mine = ++this.serial;
    const { forecast, choice } = this;
    if (!forecast || time === null) return;
    const step = stepAt(forecast.leads, time);
    const published = step !== null && forecast.leads[step]!.published;
    if (!published) {
      this.describe(step);
      const why =
        forecast.steps_complete === 0
          ? "This run has not published a step yet."
          : step === null
            ? "This run has no step at this time."
            : "This step is not there yet.";
      this.say(why);
      this.hideLegend();
      return this.pane.clear();
    }
    const asked = api.legend(forecast.id, choice.variable, choice.level, choice.member);
    let difference: Frame["difference"] = null;
    if (choice.difference && this.older) {
      const before = stepAt(this.older.leads, time);
      if (before === null || !this.older.leads[before]!.published) {
        this.describe(step);
        this.say(`The run of ${runTime(this.older)} has no step at this time: no difference.`);
        this.hideLegend();
        return this.pane.clear();
      }
      const at = (run: Forecast, step: number) =>
        api.tiles(run.id, choice.variable, choice.level, run.leads[step]!.lead, choice.member);
      difference = { newer: at(forecast, step), older: at(this.older, before), reach: reach(await asked) };
      if (mine !== this.serial) return;
    }
    this.say("");
    const [plain] = await Promise.all([asked, this.pane.show(this.frame(forecast, step, difference, overlays))]);
    if (mine !== this.serial) return;
    // what is said of a field belongs to the field that is seen
    const legend = difference ? differenceLegend(plain) : plain;
    if (JSON.stringify(legend) !== JSON.stringify(this.legend)) {
      this.legend = legend;
      this.bar.show(legend);
    }
    this.describe(step);
  }

  /** The frame at a step, to be fetched ahead. */
  prefetch(step: number, overlays: Over): Promise<void> {
    const { forecast, choice } = this;
    if (!forecast?.leads[step]?.published || choice.difference) return Promise.resolve();
    return this.pane.prefetch(this.frame(forecast, step, null, overlays));
  }

  private frame(forecast: Forecast, step: number, difference: Frame["difference"], overlays: Over): Frame {
    const { variable, level, member } = this.choice;
    const over = members.over(member, variableOf(forecast, variable)!);
    return { forecast, variable, level, step, member, over, difference, ...overlays };
  }

  private hideLegend() {
    this.legend = null;
    this.bar.show(null);
  }

  private say(text: string) {
    const box = find(".missing", this.root);
    box.hidden = text === "";
    box.textContent = text;
  }

  get title(): string {
    const { forecast, choice } = this;
    const variable = forecast && variableOf(forecast, choice.variable);
    return variable ? fieldTitle(variable, choice.level) : "";
  }

  private describe(step: number | null) {
    const { forecast, older, choice } = this;
    const variable = forecast && variableOf(forecast, choice.variable);
    if (!variable) return;
    const whose = (forecast.members ?? 0) > 1 ? `${members.title(choice.member, variable)} · ` : "";
    const lead = step === null ? "" : ` ${format.lead(forecast.leads[step]!.lead)}`;
    const minus = choice.difference && older ? ` minus ${runTime(older)}` : "";
    find(".caption .title", this.root).textContent = this.title;
    find(".caption .run", this.root).textContent = `${whose}${runTime(forecast)}${minus}${lead}`;
    this.root.setAttribute("aria-label", `${this.title}, ${whose}run ${runTime(forecast)}${lead}`);
  }

  /** Shows the value at a place in the legend; none for no place. */
  async point(place: Place | null) {
    if (!place || !this.legend) return this.bar.point(null, "");
    const { legend } = this;
    const value = await this.pane.value(place, legend).catch(() => Number.NaN);
    if (legend === this.legend) this.bar.point(value, format.place(place));
  }

  dispose() {
    this.serial++;
    this.pane.dispose();
    this.root.remove();
  }
}
