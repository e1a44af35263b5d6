import assert from "node:assert/strict";
import { test } from "node:test";
import { closed, unbroken } from "../src/antimeridian.ts";
import type { Forecast } from "../src/api.ts";
import * as api from "../src/api.ts";
import { contours, multiples, roundStep } from "../src/contours.ts";
import { address } from "../src/floats.ts";
import * as format from "../src/format.ts";
import * as members from "../src/members.ts";
import { project, unproject } from "../src/mercator.ts";
import * as permalink from "../src/permalink.ts";
import { curves, quantile } from "../src/plume.ts";
import { nearest, stepAt } from "../src/timeline.ts";
import { barbName, feathers, speedAndDirection, told, windOf } from "../src/wind.ts";

test("a link brings back all that it was made from", () => {
  const choice: permalink.Choice = {
    panes: [
      { forecast: "m~2001-01-01T0000Z~ab", variable: "t", level: "500hPa", member: "mean", difference: true },
      { forecast: "m~latest", variable: "u", level: "250hPa" },
    ],
    time: "2001-01-02T06:00Z",
    view: { zoom: 3.25, lat: 55.5, lon: -12.125 },
    place: { lat: 55.676, lon: 12.568 },
    wind: true,
    lines: true,
    coasts: false,
    zone: "local",
  };
  const link = permalink.write(choice);
  assert.deepEqual(permalink.read(link), choice);
  assert.match(link, /forecast=m~2001-01-01T0000Z~ab&/);
});

test("what a link does not say, or says wrong, is left out", () => {
  const read = permalink.read("#map=1/2&point=a/b&time=soon");
  assert.deepEqual(read, { ...permalink.read(""), panes: [{}] });
  assert.equal(read.view ?? read.place ?? read.time, null);
  assert.equal(read.coasts, true);
});

test("contours of a plane are straight and lie where they should", () => {
  const [width, height] = [20, 10];
  const values = Float32Array.from({ length: width * height }, (_, i) => (i % width) * 2 + Math.floor(i / width) * 0.5);
  const lines = contours(values, width, height, 5);
  assert.deepEqual(
    lines.map(({ value }) => value).sort((a, b) => a - b),
    [5, 10, 15, 20, 25, 30, 35, 40],
  );
  for (const { value, points } of lines) {
    for (const [x, y] of points) assert.ok(Math.abs(x * 2 + y * 0.5 - value) < 1e-5);
  }
});

test("contours around a hill close, and none runs through what is missing", () => {
  const size = 41;
  const values = Float32Array.from({ length: size * size }, (_, i) => {
    const [x, y] = [(i % size) - 20, Math.floor(i / size) - 20];
    return 100 - Math.hypot(x, y);
  });
  const rings = contours(values, size, size, 10).filter(({ value }) => value === 90);
  assert.equal(rings.length, 1);
  assert.ok(rings[0]!.closed && rings[0]!.points.length > 60);
  values.fill(Number.NaN, 0, (size * size) / 2);
  const half = contours(values, size, size, 10).filter(({ value }) => value === 90);
  assert.ok(half.length === 1 && !half[0]!.closed);
});

test("lines run on over the 180th meridian, and a ring around a pole is closed along it", () => {
  const line = [
    [170, 60],
    [180, 61],
    [-175, 62],
    [-170, 60],
    [179, 59],
  ];
  assert.deepEqual(
    unbroken(line).map(([lon]) => lon),
    [170, 180, 185, 190, 179],
  );
  const ring = [
    [-180, -70],
    [-90, -70],
    [0, -70],
    [90, -70],
    [180, -70],
    [-180, -70],
  ];
  assert.deepEqual(closed(ring).slice(-3), [
    [180, -90],
    [-180, -90],
    [-180, -70],
  ]);
  const island = [
    [0, 0],
    [1, 0],
    [1, 1],
    [0, 0],
  ];
  assert.deepEqual(closed(island), island);
});

test("steps are round", () => {
  assert.deepEqual(
    [0.9, 10, 37, 0.031].map((range) => roundStep(range, 10)),
    [0.1, 1, 4, 0.004],
  );
  assert.deepEqual(multiples(-3, 9, 4), [0, 4, 8]);
});

test("winds are named by where they come from", () => {
  const [westerly, northerly] = [speedAndDirection(10, 0), speedAndDirection(0, -10)];
  assert.equal(westerly.from, 270);
  assert.equal(northerly.from, 0);
  assert.ok(Math.abs(westerly.knots - 19.438) < 0.001);
  assert.equal(barbName(westerly.knots, 50), "barb-n-20");
  assert.equal(barbName(2, -50), "barb-s-0");
  assert.deepEqual(feathers(75), { fifties: 1, tens: 2, fives: 1 });
});

test("winds along a grid's axes are drawn from speed and direction", () => {
  const variable = (name: string, standard_name: string) => ({ name, standard_name, levels: ["10m"] });
  const along = [variable("u10", "x_wind"), variable("v10", "y_wind")];
  const derived = [variable("si10", "wind_speed"), variable("wdir10", "wind_from_direction")];
  const of = (variables: object[]) => windOf({ variables } as unknown as Forecast, "2m");
  const wind = of([...along, ...derived]);
  assert.ok(typeof wind !== "string");
  assert.deepEqual([wind.polar, ...wind.parts.map(({ name }) => name)], [true, "si10", "wdir10"]);
  const { knots, from } = told(wind, 10, 360);
  assert.deepEqual([Math.round(knots), from], [19, 0]);
  const east = of([variable("u10", "eastward_wind"), variable("v10", "northward_wind"), ...derived]);
  assert.ok(typeof east !== "string");
  assert.equal(east.polar, false);
  assert.equal(told(east, 10, 0).from, 270);
  assert.equal(typeof of(along), "string");
});

test("a plume is the spread of its members", () => {
  assert.equal(quantile([1, 2, 3, 4, 5], 0.25), 2);
  const members = [5, 1, 4, 2, 3];
  const plume = curves([0, 6], [{ seconds: 0, value: 3, members }], (value) => value * 10);
  assert.deepEqual(plume.middle, [30, null]);
  assert.deepEqual(
    plume.quantiles.map((curve) => curve[0]),
    [14, 20, 30, 40, 46],
  );
  assert.deepEqual(plume.own, [30, null]);
  const single = curves([0, 6], [{ seconds: 6, value: 7 }], (value) => value);
  assert.deepEqual(single, { middle: [null, 7], quantiles: [], own: null });
});

test("of an ensemble one chooses the control, statistics and members", () => {
  const variable = { name: "t", standard_name: "", long_name: "", units: "K", levels: ["850hPa", "500hPa"] };
  const statistics = ["mean", "spread", "q10", "850hPa_above_280", "above_250"];
  const choices = (count: number, level: string, of = {}) =>
    members.choices({ members: count } as Forecast, { ...variable, ...of }, level);
  assert.deepEqual(choices(3, "850hPa", { statistics }), ["", ...statistics, "1", "2"]);
  assert.deepEqual(choices(3, "500hPa", { statistics }), ["", "mean", "spread", "q10", "above_250", "1", "2"]);
  assert.deepEqual(choices(3, "500hPa"), ["", "1", "2"]);
  assert.deepEqual(choices(0, "500hPa", { statistics }), [""]);
  const names = ["", "2", "mean", "q50", "q2.5", "850hPa_above_280"].map((name) => members.title(name, variable));
  assert.deepEqual(names, ["Control", "Member 2", "Mean", "Median", "2.5 % quantile", "Probability above 280 K"]);
  assert.equal(members.over("spread", { ...variable, statistics }), "mean");
  assert.equal(members.over("2", variable), "2");
  assert.equal(members.over("spread", variable), "");
});

test("tiles of a member have addresses of their own", () => {
  const tiles = api.tiles("m~latest", "t", "500hPa", "6h", "mean");
  assert.equal(address(tiles, 1, 2, 0), "/tiles/m~latest/t/500hPa/6h/1/0/0.f32?member=mean");
  assert.equal(
    address(api.tiles("m", "t", "500hPa", "6h", ""), 1, -1, 0, "@2x.png"),
    "/tiles/m/t/500hPa/6h/1/1/0@2x.png",
  );
});

test("zones are named by how far they are ahead of UTC", () => {
  const ahead = (minutes: number) => ({ getTimezoneOffset: () => -minutes }) as Date;
  const names = [0, 60, -210, 345].map((minutes) => format.zoneName(ahead(minutes), "local"));
  assert.deepEqual(names, ["UTC", "UTC+1", "UTC−3:30", "UTC+5:45"]);
});

test("places and times read as forecasters write them", () => {
  assert.equal(format.place({ lat: -5.04, lon: 190 }), "5.0° S, 170.0° W");
  const date = new Date("2001-01-02T06:00Z");
  assert.equal(format.time(date, "utc"), "Tue 2 Jan 06:00");
  assert.equal(format.run(date), "2 Jan 2001 06 UTC");
  assert.equal(format.nextMidnight(date, "utc").toISOString(), "2001-01-03T00:00:00.000Z");
  assert.equal(format.nextMidnight(new Date("2001-01-02T00:00Z"), "utc").toISOString(), "2001-01-02T00:00:00.000Z");
  assert.equal(format.number(-2.71428, 10), "−2.71");
  assert.equal(format.lead("24h"), "+24 h");
});

test("the projection goes there and back", () => {
  for (const place of [
    { lat: 0, lon: 0 },
    { lat: 60, lon: -150 },
    { lat: -84, lon: 179 },
  ]) {
    const back = unproject(project(place));
    assert.ok(Math.abs(back.lat - place.lat) + Math.abs(back.lon - place.lon) < 1e-9);
  }
});

test("a time finds its step", () => {
  const leads = ["00", "06", "12"].map((hour, i) => ({
    lead: `${6 * i}h`,
    seconds: 21600 * i,
    valid_time: `2001-01-01T${hour}:00Z`,
    published: true,
  }));
  assert.equal(stepAt(leads, "2001-01-01T06:00:00Z"), 1);
  assert.equal(stepAt(leads, "2001-01-01T07:00Z"), null);
  assert.equal(nearest(leads, "2001-01-01T10:00Z"), 2);
  assert.equal(nearest(leads, null), 0);
});
