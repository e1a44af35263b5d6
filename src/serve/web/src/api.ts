// Asking the server. Every failure becomes a sentence for a person.

import { isStatistic } from "./members.ts";

export type RunState = "queued" | "running" | "publishing" | "complete" | "failed" | "cancelled" | "expired";

/** A forecast in a list. */
export interface Run {
  id: string;
  model: string;
  title: string;
  run_key: string;
  reference_time: string;
  state: RunState;
  failure_reason?: string;
  steps_complete: number;
  steps_total: number;
  /** Whether it was asked for here, and goes on: it can be cancelled. */
  cancellable?: boolean;
}

export interface Variable {
  name: string;
  standard_name: string;
  long_name: string;
  units: string;
  levels: string[];
  /** What is made of an ensemble's members; none of what follows from other variables. */
  statistics?: string[];
}

export interface Lead {
  lead: string;
  seconds: number;
  valid_time: string;
  published: boolean;
}

export interface Grid {
  description: string;
  rows: number;
  columns: number;
  /** West, south, east, north. */
  bounds: [number, number, number, number];
  global_in_longitude: boolean;
}

/** Everything about a forecast but its values. */
export interface Forecast extends Run {
  /** Of an ensemble: how many. */
  members?: number;
  variables: Variable[];
  leads: Lead[];
  grid: Grid;
  provenance: Record<string, unknown>;
}

export interface Legend {
  units: string;
  /** From the variable's units to the legend's. */
  display: { scale: number; offset: number };
  low: number;
  high: number;
  ticks: number[];
  colors: string[];
  under: string;
  over: string;
}

export interface SeriesValue {
  seconds: number;
  value: number | null;
  /** Of an ensemble: one value of each member. */
  members?: (number | null)[];
}

export interface Model {
  name: string;
  title: string;
  version: string;
  time_step_seconds: number;
  /** Why no forecast of it can be asked for; absent where one can. */
  no_requests?: string;
}

export interface Models {
  models: Model[];
  max_lead_time?: string;
}

export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

export const aborted = (error: unknown) => error instanceof Error && error.name === "AbortError";
export const sentence = (error: unknown) => (error instanceof Error ? error.message : String(error));

export async function ask(url: string, options?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (aborted(error)) throw error;
    throw new Problem("The server does not answer. Is it still running?", 0);
  }
  if (!response.ok) throw new Problem(await reason(response), response.status);
  return response;
}

async function reason(response: Response): Promise<string> {
  try {
    const problem = await response.json();
    return problem.detail || problem.title;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}

const json = async <T>(url: string, options?: RequestInit): Promise<T> => (await ask(url, options)).json();
const part = encodeURIComponent;

export const forecasts = () => json<{ forecasts: Run[]; unreachable: string[] }>("/api/v1/forecasts");
export const forecast = (id: string) => json<Forecast>(`/api/v1/forecasts/${part(id)}`);

/** Behind an address: whose values of an ensemble; the control's, or those of a single forecast, where nobody is named. */
const ofMember = (member: string) => (member ? `?member=${part(member)}` : "");

/** Members are coloured alike, statistics have colours of their own. */
export const legend = (id: string, variable: string, level: string, member = "") =>
  json<Legend>(`/legends/${part(id)}/${part(variable)}/${part(level)}${isStatistic(member) ? ofMember(member) : ""}`);

interface Series {
  units: string;
  values: SeriesValue[];
}

/** A variable at a place. */
export function series(
  { id }: Run,
  variable: string,
  level: string,
  place: { lat: number; lon: number },
  member: string,
  options: RequestInit,
) {
  const query = new URLSearchParams({
    variable,
    level,
    lat: place.lat.toFixed(4),
    lon: place.lon.toFixed(4),
    interpolation: "bilinear",
    ...(member ? { member } : {}),
  });
  return json<Series>(`/api/v1/forecasts/${part(id)}/series?${query}`, options);
}

/** A variable at a place: a member's values, and of an ensemble those of all members beside them. */
export async function plume(
  forecast: Forecast,
  variable: string,
  level: string,
  place: { lat: number; lon: number },
  member: string,
  options: RequestInit,
): Promise<SeriesValue[]> {
  const { members = 0 } = forecast;
  const ask = async (member: string) => (await series(forecast, variable, level, place, member, options)).values;
  if (members < 2) return ask(member);
  const all = await Promise.all(Array.from({ length: members }, (_, number) => ask(String(number))));
  const own = all[Number(member)] ?? all[0]!;
  const of = (seconds: number) => all.map((one) => one.find((value) => value.seconds === seconds)?.value ?? null);
  return own.map((value) => ({ ...value, members: of(value.seconds) }));
}

/** Where the tiles of one field are; `{z}`, `{x}`, `{y}` and `{form}` stand for what differs between them. */
export const tiles = (id: string, variable: string, level: string, lead: string, member: string) =>
  `/tiles/${part(id)}/${part(variable)}/${part(level)}/${part(lead)}/{z}/{x}/{y}{form}${ofMember(member)}`;

export const models = () => json<Models>("/api/v1/models");
export const runs = () => json<{ runs: Run[] }>("/api/v1/runs");

export interface Wanted {
  model: string;
  reference_time?: string;
  lead_time: string;
}

export const request = (wanted: Wanted) =>
  json<{ run: Run; joined: boolean }>("/api/v1/runs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wanted),
  });

export const cancel = (id: string) => json<{ run: Run }>(`/api/v1/runs/${part(id)}`, { method: "DELETE" });

/** What happens to a run, as the server tells it. */
export interface RunNews {
  state: RunState;
  steps_complete: number;
  steps_total: number;
  failure_reason?: string;
}

export const over = (state: RunState) => ["complete", "failed", "cancelled", "expired"].includes(state);

/** Follows a run until it ends or `close` is called. The browser connects again by itself, and goes on where it was. */
export function follow(id: string, tell: (news: RunNews) => void): EventSource {
  const source = new EventSource(`/api/v1/runs/${part(id)}/events`);
  const hear = (event: MessageEvent<string>) => {
    const news: RunNews = JSON.parse(event.data);
    if (over(news.state)) source.close();
    tell(news);
  };
  for (const kind of ["step", "state"]) source.addEventListener(kind, hear);
  return source;
}
