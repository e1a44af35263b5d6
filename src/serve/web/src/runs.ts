// Asking for a forecast, and seeing how those that were asked for fare.

import type { Model, Run } from "./api.ts";
import * as api from "./api.ts";
import { fill, find } from "./dom.ts";
import { modelTitle, runTime } from "./titles.ts";

const POLL_MS = 2000;
const LISTED = 30;

const STATES: Record<api.RunState, string> = {
  queued: "waits",
  running: "runs",
  publishing: "is being finished",
  complete: "complete",
  failed: "failed",
  cancelled: "cancelled",
  expired: "did not begin in time",
};

export class RunsDialog {
  private readonly dialog = find<HTMLDialogElement>("#runs");
  private readonly form = find<HTMLFormElement>("#request");
  private models: Model[] = [];
  private timer: ReturnType<typeof setInterval> | undefined;
  /** Called for a run that the person wants to see, and for one that was just asked for. */
  onshow: (run: Run) => void = () => {};
  onrequest: (run: Run) => void = () => {};

  constructor() {
    find("#open-runs").addEventListener("click", () => this.open());
    find(".close", this.dialog).addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => clearInterval(this.timer));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  async open() {
    this.dialog.showModal();
    this.tell("");
    this.timer = setInterval(() => this.refresh(), POLL_MS);
    this.refresh();
    try {
      const { models, max_lead_time } = await api.models();
      this.models = models.filter((model) => model.no_requests === undefined);
      const refused = models.map((model) => model.no_requests).find((reason) => reason !== undefined);
      const possible = this.models.length > 0;
      this.form.hidden = !possible;
      if (!possible) return this.tell(refused ?? "This server has no model to ask for.");
      const items = this.models.map(({ name, title, version }) => ({
        value: name,
        text: title,
        title: `${name} ${version}`,
      }));
      const select = find<HTMLSelectElement>("select", this.form);
      fill(select, items, select.value || this.models[0]!.name);
      find("#lead-limit").textContent = max_lead_time ? `at most ${max_lead_time}` : "";
    } catch (error) {
      this.tell(api.sentence(error), true);
    }
  }

  private tell(text: string, wrong = false) {
    const box = find("#request-answer");
    box.textContent = text;
    box.classList.toggle("wrong", wrong);
  }

  private async submit() {
    const data = new FormData(this.form);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const time = text("reference_time");
    const wanted = { model: text("model"), lead_time: text("lead_time"), ...(time ? { reference_time: time } : {}) };
    const button = find<HTMLButtonElement>("button[type=submit]", this.form);
    button.disabled = true;
    try {
      const { run, joined } = await api.request(wanted);
      this.tell(
        joined
          ? `There is such a run, from ${runTime(run)}: it ${STATES[run.state]}.`
          : `Asked for: from ${runTime(run)}.`,
      );
      this.refresh();
      this.onrequest(run);
    } catch (error) {
      this.tell(api.sentence(error), true);
    } finally {
      button.disabled = false;
    }
  }

  private async refresh() {
    const list = find("#run-list");
    try {
      const { runs } = await api.runs();
      const state = JSON.stringify(runs);
      if (list.dataset.state === state) return;
      list.dataset.state = state;
      list.replaceChildren(...runs.slice(0, LISTED).map((run) => this.row(run)));
      if (runs.length === 0) list.textContent = "No runs yet.";
    } catch (error) {
      this.tell(api.sentence(error), true);
    }
  }

  private row(run: Run): HTMLElement {
    const row = document.createElement("li");
    row.dataset.state = run.state;
    const part = run.steps_complete / Math.max(1, run.steps_total);
    const head = Object.assign(document.createElement("strong"), { textContent: runTime(run) });
    const model = Object.assign(document.createElement("span"), { className: "faint", textContent: modelTitle(run) });
    const bar = Object.assign(document.createElement("progress"), { max: 1, value: part });
    bar.setAttribute("aria-label", `Progress of the run of ${runTime(run)}`);
    const steps = run.steps_total > 0 ? ` · ${run.steps_complete} of ${run.steps_total} steps` : "";
    const why = run.failure_reason ? `: ${run.failure_reason}` : "";
    const text = Object.assign(document.createElement("span"), {
      className: "faint",
      textContent: `${STATES[run.state]}${steps}${why}`,
    });
    const actions = document.createElement("div");
    row.append(head, model, bar, text, actions);
    const button = (text: string, act: () => void) => {
      const one = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      one.setAttribute("aria-label", `${text} the run of ${runTime(run)}`);
      one.addEventListener("click", act);
      actions.append(one);
    };
    if (run.steps_complete > 0) {
      button("Show", () => {
        this.dialog.close();
        this.onshow(run);
      });
    }
    if (run.cancellable) button("Cancel", () => this.cancel(run));
    return row;
  }

  private async cancel(run: Run) {
    try {
      await api.cancel(run.id);
      this.tell(`The run of ${runTime(run)} is cancelled. What it has published stays.`);
    } catch (error) {
      this.tell(api.sentence(error), true);
    }
    this.refresh();
  }
}
