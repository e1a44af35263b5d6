"""Every kind of answer of the EDR interface, checked by the standards' own models of it, and opened with xarray."""

import json
import sys
import tempfile
import urllib.parse
import urllib.request

try:
    from covjson_pydantic.coverage import Coverage, CoverageCollection
    from edr_pydantic.capabilities import ConformanceModel, LandingPageModel
    from edr_pydantic.collections import Collection, Collections, Instance, Instances
    from openapi_spec_validator import validate as validate_openapi
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)
import numpy
import xarray

BASE = sys.argv[1]


def get(path, accept="application/json", **query):
    url = f"{BASE}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request) as response:
        return response.headers, response.read()


def document(path, **query):
    return get(path, **query)[1]


LandingPageModel.model_validate_json(document("/"))
ConformanceModel.model_validate_json(document("/conformance"))
api = json.loads(document("/api"))
validate_openapi(api)
page = get("/api", accept="text/html")[1].decode()
assert "http://" not in page and "https://" not in page, "an outside address"
assert get("/", accept="text/html")[0]["content-type"].startswith("text/html")

collections = Collections.model_validate_json(document("/collections"))
model = collections.collections[0]
path = f"/collections/{model.id}"
Collection.model_validate_json(document(path))
instances = Instances.model_validate_json(document(f"{path}/instances"))
Instance.model_validate_json(document(f"{path}/instances/{instances.instances[0].id}"))
# every link of a collection leads somewhere
for link in model.links:
    assert link.href.startswith(BASE), link.href

projected = "native" in model.crs
west, south, east, north = (11, 55, 12, 56) if projected else (-10, 40, 10, 60)
box = f"{west},{south},{east},{north}"
ring = f"{west} {south},{east} {south},{east} {north},{west} {south}"
here, there = f"{west + .5} {south + .5}", f"{east - .5} {north - .5}"
time = model.extent.temporal.values[1]
queries = [
    ("position", {"coords": f"POINT({here})"}),
    ("position", {"coords": f"POINT({here})", "parameter-name": "sp"}),
    ("position", {"coords": f"POINT({here})", "parameter-name": "t", "z": "500"}),
    ("position", {"coords": f"POINT({here})", "parameter-name": "t,u,ws", "datetime": time}),
    ("position", {"coords": f"MULTIPOINT({here},{there})", "parameter-name": "t,sp"}),
    ("area", {"coords": f"POLYGON(({ring}))", "parameter-name": "t,sp"}),
    ("cube", {"bbox": box, "parameter-name": "t,wdir,thick", "datetime": f"{time}/.."}),
    ("cube", {"bbox": box, "z": "500"}),
    ("trajectory", {"coords": f"LINESTRING({here},{there})", "datetime": time, "parameter-name": "t,sp"}),
]
if projected:
    plane = "-805000,-35000,-775000,0"
    queries.append(("cube", {"bbox": plane, "crs": "native", "parameter-name": "t,sp"}))
    queries.append(("position", {"coords": "POINT(-800000 -30000)", "crs": "native", "parameter-name": "t,sp"}))

for kind, query in queries:
    text = document(f"{path}/{kind}", **query)
    found = json.loads(text)
    if found["type"] == "Coverage":
        coverages = [Coverage.model_validate_json(text)]
    else:
        coverages = CoverageCollection.model_validate_json(text).coverages
    for coverage in coverages:
        axes = coverage.domain.axes
        sizes = {name: len(getattr(axes, name).values) for name in ("t", "x", "y", "z", "composite") if getattr(axes, name)}
        for name, array in coverage.ranges.items():
            assert array.shape == [sizes[axis] for axis in array.axisNames], (kind, query, name)
            assert len(array.values) == int(numpy.prod(array.shape)), (kind, query, name)
    features = json.loads(document(f"{path}/{kind}", **query, f="GeoJSON"))
    assert features["type"] == "FeatureCollection" and features["features"], (kind, query)
    table = document(f"{path}/{kind}", **query, f="CSV").decode().splitlines()
    assert len(table) == 1 + len(features["features"]), (kind, query)
    with tempfile.NamedTemporaryFile(suffix=".nc") as file:
        file.write(document(f"{path}/{kind}", **query, f="NetCDF"))
        file.flush()
        with xarray.open_dataset(file.name) as dataset:
            names = {name for coverage in coverages for name in coverage.ranges}
            assert names <= set(dataset.data_vars), (names, dataset)
            assert dataset.attrs["Conventions"] == "CF-1.11" and "forecast" in dataset.attrs
            assert "latitude" in dataset.coords and "longitude" in dataset.coords, dataset
            for name in names:
                arrays = [coverage.ranges[name] for coverage in coverages if name in coverage.ranges]
                values = numpy.array([v for array in arrays for v in array.values], dtype="float64")
                ours = dataset[name].values
                if len(arrays) > 1 and ours.ndim == 3:  # one coverage per level
                    ours = numpy.moveaxis(ours, 1, 0)
                numpy.testing.assert_allclose(ours.ravel(), values, rtol=1e-6)
                assert dataset[name].attrs["units"], name
print(f"{len(queries)} queries in four formats, {'projected' if projected else 'global'}")
