// Asking the server. Every failure becomes a sentence for a person.

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function ask(url, { signal } = {}) {
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is it still running?", 0);
  }
  if (!response.ok) throw new Problem(await reason(response), response.status);
  return response;
}

async function reason(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}

const json = async (url, options) => (await ask(url, options)).json();
const part = encodeURIComponent;

export const forecasts = () => json("/api/v1/forecasts");
export const forecast = (id) => json(`/api/v1/forecasts/${part(id)}`);
export const legend = (id, variable, level, options) => json(`/legends/${part(id)}/${part(variable)}/${part(level)}`, options);

export function series(id, variable, level, point, options) {
  const query = new URLSearchParams({ variable, level, lat: point.lat.toFixed(4), lon: point.lon.toFixed(4), interpolation: "bilinear" });
  return json(`/api/v1/forecasts/${part(id)}/series?${query}`, options);
}

/** Address of the tiles of one field; `ending` is png or f32. */
export function tileAddress(id, variable, level, lead) {
  const base = `/tiles/${part(id)}/${part(variable)}/${part(level)}/${part(lead)}`;
  return (z, x, y, ending = "png") => `${base}/${z}/${x}/${y}.${ending}`;
}

const RAW_HEADER = 32;

/** The values of one tile; NaN where missing. */
export async function values(url, options) {
  const bytes = await (await ask(url, options)).arrayBuffer();
  const view = new DataView(bytes);
  if (bytes.byteLength < RAW_HEADER || view.getUint32(0) !== 0x56454a52) throw new Problem("The server sent no tile.", 0);
  const offset = view.getUint16(6, true);
  const [width, height] = [view.getUint16(8, true), view.getUint16(10, true)];
  return { width, height, at: (x, y) => view.getFloat32(offset + 4 * (y * width + x), true) };
}
