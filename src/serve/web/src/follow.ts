// Keeping up with the server: runs that are shown go on, and new ones come.

import * as api from "./api.ts";
import { type App, attempt, fail } from "./app.ts";
import { note } from "./notices.ts";
import * as panel from "./panel.ts";
import { LATEST, RunList } from "./runlist.ts";
import { runTime } from "./titles.ts";

const POLL_MS = 10_000;

export class Follower {
  private following: { id: string; source: EventSource }[] = [];

  constructor(private readonly app: App) {
    app.onarrive = () => this.watch();
    setInterval(() => attempt(this.look()), POLL_MS);
    document.addEventListener("visibilitychange", () => {
      this.watch();
      attempt(this.look());
    });
  }

  /** Follows the runs that are shown and go on. A browser has few connections: a hidden page holds none. */
  private watch() {
    const shown = this.app.views.flatMap(({ forecast }) => forecast ?? []);
    const wanted = new Set(shown.filter(({ state }) => !api.over(state) && !document.hidden).map(({ id }) => id));
    for (const { id, source } of this.following) if (!wanted.has(id)) source.close();
    // one that the server refused is closed, too, and tried again
    this.following = this.following.filter(({ source }) => source.readyState !== EventSource.CLOSED);
    for (const id of wanted) {
      if (this.following.some((one) => one.id === id)) continue;
      this.following.push({ id, source: api.follow(id, (news) => attempt(this.advance(id, news))) });
    }
  }

  /** A run that is shown went on. */
  private async advance(id: string, { state, steps_complete }: api.RunNews) {
    const { app } = this;
    const shown = () => app.views.filter(({ forecast }) => forecast?.id === id);
    // what happened before is told again, from the beginning
    const isNew = (run: api.Run) => steps_complete > run.steps_complete || (api.over(state) && state !== run.state);
    if (!shown().some(({ forecast }) => forecast && isNew(forecast))) return;
    const newer = await api.forecast(id);
    app.runs = app.runs.with(newer);
    for (const view of shown()) {
      const old = view.forecast;
      if (!old || newer.steps_complete < old.steps_complete) continue;
      view.forecast = newer;
      if (newer.state === old.state || view !== app.view) continue;
      if (newer.state === "failed") note(`The run stopped: ${newer.failure_reason || "no reason given"}`);
      if (newer.state === "complete") note("The run is complete.");
    }
    app.draw();
    this.watch();
    if (!app.timeline.playing) await app.showAll();
    if (app.place) await app.showPlace();
  }

  /** Looks which runs there are. */
  async look() {
    const { app } = this;
    if (document.hidden) return;
    try {
      const old = app.runs;
      app.runs = new RunList((await api.forecasts()).forecasts);
      if (!app.begun) {
        if (app.runs.all.length > 0) await app.start();
        return;
      }
      panel.drawRuns(app);
      if (await this.goToLatest()) return;
      // what could not be followed is looked at
      this.watch();
      const shown = new Set(app.views.map(({ forecast }) => forecast?.id));
      for (const run of app.runs.all) if (shown.has(run.id)) await this.advance(run.id, run);
      const known = new Set(old.all.filter((run) => run.steps_complete > 0).map(({ id }) => id));
      const fresh = app.runs.all.find((run) => run.steps_complete > 0 && !known.has(run.id));
      if (fresh) this.tell(fresh);
    } catch (error) {
      if (app.begun) fail(error);
    }
  }

  /** Where the newest run is wanted, whichever it is. */
  private async goToLatest(): Promise<boolean> {
    const { app } = this;
    const late = app.views.filter(({ choice, forecast }) => {
      const now = app.runs.resolve(choice.forecast);
      return choice.forecast.endsWith(LATEST) && now !== undefined && now !== forecast?.id;
    });
    if (late.length === 0) return false;
    for (const view of late) await app.take(view, {});
    note(`New run: ${runTime(late[0]!.forecast!)}`);
    await app.arrive();
    return true;
  }

  private tell(fresh: api.Run) {
    const shown = this.app.view.forecast;
    if (shown?.model !== fresh.model || shown.id === fresh.id || fresh.reference_time < shown.reference_time) return;
    note(`New run: ${runTime(fresh)}`, { text: "Show", act: () => attempt(this.app.pickRun(fresh.id)) });
  }

  /** A run that was asked for is shown when its first step is there. */
  await(run: api.Run) {
    if (run.steps_complete > 0) return attempt(this.app.pickRun(run.id));
    const source = api.follow(run.id, ({ state, steps_complete, failure_reason }) => {
      if (steps_complete > 0) {
        source.close();
        attempt(this.look().then(() => this.app.pickRun(run.id)));
      } else if (api.over(state)) {
        note(`The run of ${runTime(run)} came to nothing: ${failure_reason || state}`);
      }
    });
  }
}
