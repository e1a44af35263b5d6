// Numbers, places and times as forecasters write them. Times are UTC everywhere.

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

/** A number in the legend's units, with as many digits as its range makes sense of. */
export function number(value, legend) {
  const range = Math.abs(legend.high - legend.low);
  const digits = range >= 500 ? 0 : range >= 15 ? 1 : Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(range))));
  return value.toFixed(digits).replace("-", "−");
}

/** A label of an axis: no more digits than it needs. */
export const tick = (value) => String(Number(value.toPrecision(6))).replace("-", "−");

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** `500hPa` → `500 hPa`, `ml8` → `model level 8`. */
export function level(text) {
  if (text.startsWith("ml")) return `model level ${text.slice(2)}`;
  return text === "surface" ? text : text.replace(/^([\d.]+)/, "$1 ");
}

export function latitude(degrees) {
  return `${Math.abs(degrees).toFixed(1)}° ${degrees < 0 ? "S" : "N"}`;
}

export function longitude(degrees) {
  const east = ((degrees + 540) % 360) - 180;
  return `${Math.abs(east).toFixed(1)}° ${east < 0 ? "W" : "E"}`;
}

export const place = (point) => `${latitude(point.lat)}, ${longitude(point.lon)}`;

/** `Tue 2 Jan 2001, 06:00`. */
export function time(date) {
  return `${day(date)} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}, ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
}

/** `Tue 2`. */
export const day = (date) => `${DAYS[date.getUTCDay()]} ${date.getUTCDate()}`;

/** `2 Jan 2001 00 UTC`. */
export function run(date) {
  const minutes = date.getUTCMinutes() ? `:${two(date.getUTCMinutes())}` : "";
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()} ${two(date.getUTCHours())}${minutes} UTC`;
}

/** `24h` → `+24 h`. */
export const lead = (text) => `+${text.replace(/(\d)([a-z])/g, "$1 $2")}`;
