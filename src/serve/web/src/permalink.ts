// What is shown, in the address: a link brings anyone to the same map.

import type { Zone } from "./format.ts";
import type { Place } from "./mercator.ts";
import type { Camera } from "./pictures.ts";

/** What one map shows. */
export interface PaneChoice {
  /** `{model}~{reference time}~{key}`, or `{model}~latest`. */
  forecast: string;
  variable: string;
  level: string;
  /** Of an ensemble: a member's number, or what is made of all members. Empty: the control. */
  member: string;
  /** Minus the run before, at the same time. */
  difference: boolean;
}

export interface Choice {
  panes: Partial<PaneChoice>[];
  /** When what is shown is valid, ISO 8601. */
  time: string | null;
  view: Camera | null;
  place: Place | null;
  wind: boolean;
  lines: boolean;
  coasts: boolean;
  zone: Zone;
}

const SECOND = "2.";

/** The state that a fragment holds; parts that are missing or make no sense are left out. */
export function read(fragment: string): Choice {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ""));
  const numbers = (name: string, count: number) => {
    const found = (parameters.get(name) ?? "").split("/").map(Number);
    return found.length === count && found.every(Number.isFinite) ? found : null;
  };
  const pane = (prefix: string) => {
    const found: Partial<PaneChoice> = {};
    for (const name of ["forecast", "variable", "level", "member"] as const) {
      const text = parameters.get(prefix + name);
      if (text) found[name] = text;
    }
    if (parameters.has(`${prefix}difference`)) found.difference = true;
    return found;
  };
  const [map, place] = [numbers("map", 3), numbers("point", 2)];
  const time = parameters.get("time");
  const second = pane(SECOND);
  return {
    panes: Object.keys(second).length > 0 ? [pane(""), second] : [pane("")],
    time: time !== null && Number.isFinite(Date.parse(time)) ? time : null,
    view: map && { zoom: map[0]!, lat: map[1]!, lon: map[2]! },
    place: place && { lat: place[0]!, lon: place[1]! },
    wind: parameters.has("wind"),
    lines: parameters.has("lines"),
    coasts: parameters.get("coasts") !== "off",
    zone: parameters.get("zone") === "local" ? "local" : "utc",
  };
}

/** The fragment that holds a state. */
export function write(choice: Choice): string {
  const parameters = new URLSearchParams();
  choice.panes.forEach((pane, i) => {
    const prefix = i === 0 ? "" : SECOND;
    for (const name of ["forecast", "variable", "level", "member"] as const) {
      const text = pane[name];
      if (text) parameters.set(prefix + name, text);
    }
    if (pane.difference) parameters.set(`${prefix}difference`, "on");
  });
  if (choice.time) parameters.set("time", choice.time);
  const { view, place } = choice;
  if (view) parameters.set("map", [view.zoom.toFixed(2), view.lat.toFixed(3), view.lon.toFixed(3)].join("/"));
  if (place) parameters.set("point", [place.lat.toFixed(3), place.lon.toFixed(3)].join("/"));
  if (choice.wind) parameters.set("wind", "on");
  if (choice.lines) parameters.set("lines", "on");
  if (!choice.coasts) parameters.set("coasts", "off");
  if (choice.zone === "local") parameters.set("zone", "local");
  // slashes, tildes and colons are legal in a fragment, and readable
  const readable = { "%2F": "/", "%7E": "~", "%3A": ":" };
  return `#${parameters.toString().replace(/%2F|%7E|%3A/g, (code) => readable[code as keyof typeof readable])}`;
}
