// What is shown, in the address: a link brings anyone to the same map.

/** The state that the address holds; parts that are missing or make no sense are left out. */
export function read() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const numbers = (name, count) => {
    const parts = (parameters.get(name) ?? "").split("/").map(Number);
    return parts.length === count && parts.every(Number.isFinite) ? parts : null;
  };
  const map = numbers("map", 3);
  const point = numbers("point", 2);
  return {
    forecast: parameters.get("forecast"),
    variable: parameters.get("variable"),
    level: parameters.get("level"),
    lead: parameters.get("lead"),
    view: map && { zoom: map[0], lat: map[1], lon: map[2] },
    point: point && { lat: point[0], lon: point[1] },
  };
}

/** Writes the state into the address, without a new entry in the history. */
export function write({ forecast, variable, level, lead, view, point }) {
  const parameters = new URLSearchParams({ forecast, variable, level, lead });
  parameters.set("map", [view.zoom.toFixed(2), view.lat.toFixed(3), view.lon.toFixed(3)].join("/"));
  if (point) parameters.set("point", [point.lat.toFixed(3), point.lon.toFixed(3)].join("/"));
  // slashes and tildes are legal in a fragment, and readable
  const hash = parameters.toString().replaceAll("%2F", "/").replaceAll("%7E", "~");
  if (location.hash !== `#${hash}`) history.replaceState(null, "", `#${hash}`);
}
