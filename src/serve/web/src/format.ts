// Numbers, places and times as forecasters write them.

export type Zone = "utc" | "local";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number: number) => String(number).padStart(2, "0");

/** Digits after the point that a range of values makes sense of. */
export function digits(range: number): number {
  const size = Math.abs(range);
  if (!(size > 0)) return 2;
  return size >= 500 ? 0 : size >= 15 ? 1 : Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(size))));
}

export const number = (value: number, range: number) => minus(value.toFixed(digits(range)));

/** A label of an axis: no more digits than it needs. */
export const tick = (value: number) => minus(String(Number(value.toPrecision(6))));

const minus = (text: string) => text.replace("-", "−");

export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** `500hPa` → `500 hPa`, `ml8` → `model level 8`. */
export function level(text: string): string {
  if (text.startsWith("ml")) return `model level ${text.slice(2)}`;
  return text === "surface" ? text : text.replace(/^([\d.]+)/, "$1 ");
}

export const latitude = (degrees: number) => `${Math.abs(degrees).toFixed(1)}° ${degrees < 0 ? "S" : "N"}`;

export function longitude(degrees: number): string {
  const east = wrap(degrees);
  return `${Math.abs(east).toFixed(1)}° ${east < 0 ? "W" : "E"}`;
}

/** Longitudes from -180 to 180. */
export const wrap = (degrees: number) => ((((degrees + 180) % 360) + 360) % 360) - 180;

export const place = ({ lat, lon }: { lat: number; lon: number }) => `${latitude(lat)}, ${longitude(lon)}`;

/** The parts of a date in a zone. */
function parts(date: Date, zone: Zone) {
  return zone === "utc"
    ? {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth(),
        day: date.getUTCDate(),
        weekday: date.getUTCDay(),
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
      }
    : {
        year: date.getFullYear(),
        month: date.getMonth(),
        day: date.getDate(),
        weekday: date.getDay(),
        hour: date.getHours(),
        minute: date.getMinutes(),
      };
}

/** `Tue 2 Jan 06:00`. */
export function time(date: Date, zone: Zone): string {
  const { month, hour, minute } = parts(date, zone);
  return `${day(date, zone)} ${MONTHS[month]} ${two(hour)}:${two(minute)}`;
}

/** `Tue 2`. */
export function day(date: Date, zone: Zone): string {
  const { weekday, day } = parts(date, zone);
  return `${DAYS[weekday]} ${day}`;
}

/** Midnight of the first day that begins at or after a moment. */
export function nextMidnight(date: Date, zone: Zone): Date {
  const { year, month, day } = parts(date, zone);
  const midnight = (add: number) =>
    zone === "utc" ? new Date(Date.UTC(year, month, day + add)) : new Date(year, month, day + add);
  return midnight(0) >= date ? midnight(0) : midnight(1);
}

/** What the zone is called beside a time: `UTC`, `UTC+2`, `UTC−3:30`. */
export function zoneName(date: Date, zone: Zone): string {
  const ahead = zone === "utc" ? 0 : -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(ahead) / 60), Math.abs(ahead) % 60];
  const offset = ahead === 0 ? "" : `${ahead < 0 ? "−" : "+"}${hours}${minutes ? `:${two(minutes)}` : ""}`;
  return `UTC${offset}`;
}

/** `2 Jan 2001 00 UTC`: runs are named by UTC everywhere. */
export function run(date: Date): string {
  const { year, month, day, hour, minute } = parts(date, "utc");
  return `${day} ${MONTHS[month]} ${year} ${two(hour)}${minute ? `:${two(minute)}` : ""} UTC`;
}

/** `24h` → `+24 h`. */
export const lead = (text: string) => `+${text.replace(/(\d)([a-z])/g, "$1 $2")}`;
