// What lies under and over the data: Natural Earth's outlines, the graticule. The ground is the page's own colour.

import type { GeoJSONSource, Map as MapLibre, StyleSpecification } from "maplibre-gl";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import fine from "world-atlas/countries-10m.json";
import middle from "world-atlas/countries-50m.json";
import coarse from "world-atlas/countries-110m.json";
import { closed, unbroken } from "./antimeridian.ts";
import { ask } from "./api.ts";
import { empty } from "./isolines.ts";
import type { Theme } from "./theme.ts";

/** Outlines by the zoom from which they are wanted. */
const SCALES: [zoom: number, url: string][] = [
  [4.5, fine],
  [2, middle],
  [Number.NEGATIVE_INFINITY, coarse],
];

const COLORS = {
  light: { land: "#e9ece6", line: "#0c1822", pale: "#ffffff" },
  dark: { land: "#232f39", line: "#05090d", pale: "#ffffff" },
};

const SPACING = [30, 10, 5, 1];

/** Meridians and parallels. */
function graticule(): GeoJSON.FeatureCollection {
  const features: GeoJSON.Feature[] = [];
  SPACING.forEach((spacing, i) => {
    const coarser = SPACING.slice(0, i);
    const add = (value: number, coordinates: [number, number][]) => {
      if (coarser.some((other) => value % other === 0)) return;
      features.push({
        type: "Feature",
        geometry: { type: "LineString", coordinates },
        properties: { from: i, main: value === 0 },
      });
    };
    for (let lon = -180; lon < 180; lon += spacing)
      add(
        lon,
        [-85, 0, 85].map((lat) => [lon, lat]),
      );
    for (let lat = -90 + spacing; lat < 90; lat += spacing)
      add(
        lat,
        [-180, 0, 180].map((lon) => [lon, lat]),
      );
  });
  return { type: "FeatureCollection", features };
}

const hidden = { visibility: "none" } as const;

/** The map without data, which go below the layer `graticule`. Lines are hidden and empty at first: each kind is a program
 * to compile, and the first field must not wait for that. */
export function style(theme: Theme): StyleSpecification {
  const { land, line, pale } = COLORS[theme];
  const source = (data: GeoJSON.GeoJSON, tolerance = 0.375) => ({
    type: "geojson" as const,
    data,
    tolerance,
    buffer: 16,
  });
  return {
    version: 8,
    sources: { land: source(empty), coast: source(empty), borders: source(empty), graticule: source(empty, 0) },
    layers: [
      {
        id: "land",
        type: "fill",
        source: "land",
        layout: hidden,
        paint: { "fill-color": land, "fill-antialias": false },
      },
      {
        id: "graticule",
        type: "line",
        source: "graticule",
        layout: hidden,
        filter: ["<=", ["get", "from"], ["step", ["zoom"], 0, 2.5, 1, 4.5, 2, 6, 3]],
        paint: { "line-color": line, "line-opacity": ["case", ["get", "main"], 0.5, 0.22], "line-width": 0.7 },
      },
      {
        id: "coast-edge",
        type: "line",
        source: "coast",
        layout: hidden,
        paint: {
          "line-color": pale,
          "line-opacity": 0.45,
          "line-width": ["interpolate", ["linear"], ["zoom"], 0, 2, 6, 3.2],
        },
      },
      {
        id: "coast",
        type: "line",
        source: "coast",
        layout: { ...hidden, "line-join": "round" },
        paint: {
          "line-color": line,
          "line-opacity": 0.85,
          "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.8, 6, 1.4],
        },
      },
      {
        id: "borders",
        type: "line",
        source: "borders",
        layout: hidden,
        paint: { "line-color": line, "line-opacity": 0.45, "line-width": 0.8, "line-dasharray": [3, 2] },
      },
    ],
  };
}

export function recolor(map: MapLibre, theme: Theme) {
  const { land, line } = COLORS[theme];
  map.setPaintProperty("land", "fill-color", land);
  for (const layer of ["graticule", "coast", "borders"]) map.setPaintProperty(layer, "line-color", line);
}

interface Outlines {
  land: GeoJSON.GeoJSON;
  coast: GeoJSON.GeoJSON;
  borders: GeoJSON.GeoJSON;
}

const loaded = new Map<string, Promise<Outlines>>();

function polygons(land: GeoJSON.FeatureCollection | GeoJSON.Feature): GeoJSON.Position[][][] {
  const features = land.type === "FeatureCollection" ? land.features : [land];
  return features.flatMap(({ geometry }) =>
    geometry.type === "MultiPolygon" ? geometry.coordinates : geometry.type === "Polygon" ? [geometry.coordinates] : [],
  );
}

function outlines(url: string): Promise<Outlines> {
  let found = loaded.get(url);
  if (!found) {
    found = ask(url)
      .then((answer) => answer.json())
      .then((topology: Topology<{ land: GeometryCollection; countries: GeometryCollection }>) => {
        const { land, countries } = topology.objects;
        const lines = (wanted: (a: object, b: object) => boolean): GeoJSON.MultiLineString => {
          const found = mesh(topology, countries, wanted);
          return { ...found, coordinates: found.coordinates.map(unbroken) };
        };
        return {
          land: {
            type: "MultiPolygon",
            coordinates: polygons(feature(topology, land)).map((rings) => rings.map(closed)),
          },
          coast: lines((a, b) => a === b),
          borders: lines((a, b) => a !== b),
        };
      });
    found.catch(() => loaded.delete(url));
    loaded.set(url, found);
  }
  return found;
}

/** Outlines of a map, as fine as its zoom wants them; none where the planet has none. */
export class Outlining {
  private shown = "";
  private wanted = false;
  private begun = false;

  constructor(
    private readonly map: MapLibre,
    private readonly failed: (error: unknown) => void,
  ) {
    map.on("zoomend", () => this.refresh());
  }

  /** `ground`: whether land is seen, beside the data of a region. */
  show(wanted: boolean, ground: boolean) {
    this.wanted = wanted;
    if (!this.begun) this.map.getSource<GeoJSONSource>("graticule")?.setData(graticule());
    this.begun = true;
    const show = (layer: string, is: boolean) =>
      this.map.setLayoutProperty(layer, "visibility", is ? "visible" : "none");
    show("graticule", true);
    show("land", wanted && ground);
    for (const layer of ["coast-edge", "coast", "borders"]) show(layer, wanted);
    this.refresh();
  }

  private refresh() {
    if (!this.wanted) return;
    const zoom = this.map.getZoom();
    const url = SCALES.find(([from]) => zoom >= from)![1];
    // what is finer than wanted is not worth replacing
    const rank = (one: string) => SCALES.findIndex(([, other]) => other === one);
    if (this.shown && rank(this.shown) <= rank(url)) return;
    const before = this.shown;
    this.shown = url;
    outlines(url).then(
      (found) => {
        for (const name of ["land", "coast", "borders"] as const) {
          this.map.getSource<GeoJSONSource>(name)?.setData(found[name]);
        }
      },
      (error) => {
        this.shown = before;
        this.failed(error);
      },
    );
  }
}
