// The page: the parts are made, and the person's hands find them.

import { App, attempt } from "./app.ts";
import { install } from "./difference.ts";
import { find, unveil } from "./dom.ts";
import { answer, opening } from "./early.ts";
import { Follower } from "./follow.ts";
import * as format from "./format.ts";
import { busy, message, note } from "./notices.ts";
import * as permalink from "./permalink.ts";
import { LATEST } from "./runlist.ts";
import { RunsDialog } from "./runs.ts";
import * as theme from "./theme.ts";

const BUSY_MS = 100;
/** A picture that takes longer is not waited for. */
const VEIL_MS = 1500;
/** Pixels that a key moves the map. */
const PAN = 120;
const PANS: Record<string, [number, number]> = {
  ArrowLeft: [-PAN, 0],
  ArrowRight: [PAN, 0],
  ArrowUp: [0, -PAN],
  ArrowDown: [0, PAN],
};
const NO_WEBGL =
  "It needs WebGL 2, which this browser does not have or has switched off (in its settings: hardware acceleration). " +
  "The same data are at /api/v1/forecasts and /tiles.";

theme.apply();
install();
const app = new App();
const { timeline, overlays } = app;
const follower = new Follower(app);
const dialog = new RunsDialog();
const keys = find<HTMLDialogElement>("#keys");

// --- the panel ---

const onChange = (selector: string, act: (element: HTMLInputElement) => void) =>
  find<HTMLInputElement>(selector).addEventListener("change", (event) => act(event.target as HTMLInputElement));
const onClick = (selector: string, act: () => void) => find(selector).addEventListener("click", act);

onChange("#run", ({ value }) => attempt(app.pickRun(value)));
onChange("#model", ({ value }) => attempt(app.pickRun(value + LATEST)));
onChange("#member", ({ value }) => app.pickField({ member: value }));
for (const name of ["wind", "lines"] as const) {
  onChange(`#${name}`, ({ checked }) => {
    overlays[name] = checked;
    attempt(app.showAll());
  });
}
onChange("#difference", ({ checked }) => app.pickField({ difference: checked }));
onChange("#coasts", ({ checked }) => app.setCoasts(checked));
onClick("#split", () => attempt(app.split()));
onClick("#more", () => {
  const open = document.body.classList.toggle("more");
  find("#more").setAttribute("aria-expanded", String(open));
});
onClick("#copy", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    note("The link to this view is copied.");
  } catch {
    note("The link to this view is the page's address.");
  }
});
onClick("#help", () => keys.showModal());
onClick("#keys .close", () => keys.close());
find<HTMLAnchorElement>("#licences").href = LICENCES;

function drawTheme() {
  theme.apply();
  for (const { pane } of app.views) attempt(pane.theme(theme.theme()));
  app.meteogram?.draw();
}
theme.onSystemChange(drawTheme);
onClick("#theme", () => {
  theme.toggle();
  drawTheme();
});

dialog.onshow = (run) => attempt(app.pickRun(run.id));
dialog.onrequest = (run) => follower.await(run);

// --- the map, the time and a place ---

onClick("#zoom-in", () => app.view.pane.map.zoomIn());
onClick("#zoom-out", () => app.view.pane.map.zoomOut());
onClick("#zone", () => app.setZone(timeline.zone === "utc" ? "local" : "utc"));
onClick("#meteogram .close", () => {
  app.pick(null);
  find("#time").focus();
});

document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (!app.begun || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (target.matches("select, input[type=radio]") && event.key.startsWith("Arrow")) return;
  const onControl = target.matches("button, select, input:not([type=range])");
  const { map } = app.view.pane;
  const pan = PANS[event.key];
  if (event.shiftKey && pan) map.panBy(pan);
  else if (event.key === "+" || event.key === "=") map.zoomIn();
  else if (event.key === "-") map.zoomOut();
  else if (event.key === "ArrowLeft") timeline.move(-1);
  else if (event.key === "ArrowRight") timeline.move(1);
  else if (event.key === "ArrowUp") app.moveLevel(-1);
  else if (event.key === "ArrowDown") app.moveLevel(1);
  // a list that is chosen from takes letters itself
  else if (event.key === "m" && !target.matches("select")) app.moveMember(1);
  else if (event.key === "M" && !target.matches("select")) app.moveMember(-1);
  else if (event.key === "Home") timeline.move(-timeline.step);
  else if (event.key === "End") timeline.move(timeline.published - 1 - timeline.step);
  else if (event.key === " " && !onControl) timeline.toggle();
  else if (event.key === "Enter" && !onControl) {
    const { lat, lng } = map.getCenter();
    app.pick({ lat, lon: format.wrap(lng) });
  } else if (event.key === "Escape" && app.place) app.pick(null);
  else if (event.key === "?") keys.showModal();
  else return;
  event.preventDefault();
});

addEventListener("hashchange", () => {
  if (app.isElsewhere) app.start();
});
addEventListener("resize", () => app.meteogram?.draw());
setInterval(() => busy(app.views.some(({ pane }) => pane.busy)), BUSY_MS);

setTimeout(unveil, VEIL_MS);

try {
  app.addView(permalink.read(location.hash).view ?? undefined);
  app.start(answer, opening);
} catch {
  message("This browser cannot draw the map", NO_WEBGL);
}
