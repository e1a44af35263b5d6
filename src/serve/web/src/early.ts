// What the first picture shows is asked for at once, while the program that draws it is on its way.

import * as api from "./api.ts";
import { find } from "./dom.ts";
import { OPENING, settled, stepFor } from "./opening.ts";
import * as permalink from "./permalink.ts";
import { fetchAhead, seen } from "./pictures.ts";
import { LATEST, RunList } from "./runlist.ts";

/** Which runs there are. */
export const answer = api.forecasts();
// whoever waits for it says so
answer.catch(() => {});

/** The run that is shown first; `null` where there is none. */
export const opening = begin().catch(() => null);

async function begin(): Promise<api.Forecast | null> {
  const runs = new RunList((await answer).forecasts);
  const { panes, time, view } = permalink.read(location.hash);
  const wanted = panes[0]!;
  const id = runs.resolve(wanted.forecast ?? `${runs.newest()?.model}${LATEST}`);
  if (!id) return null;
  const forecast = await api.forecast(id);
  const { variable, level, member, difference } = settled(forecast, wanted);
  const lead = forecast.leads[stepFor(forecast, time)];
  // a map of a region opens on it, which the map itself finds out
  const camera = view ?? (forecast.grid.global_in_longitude ? OPENING : null);
  if (lead?.published && camera && !difference) {
    const { clientWidth, clientHeight } = find("#panes");
    const width = clientWidth / panes.length;
    fetchAhead(
      api.tiles(id, variable, level, lead.lead, member),
      seen(camera, width, clientHeight, forecast.grid),
      "high",
    );
  }
  return forecast;
}
