"""Answers of DataService as xarray objects, with the attributes and coordinates of CF."""

from __future__ import annotations

import json
import re

import google_crc32c
import numpy as np
import xarray

from .records import Variable

# level as requests spell it → coordinate, units, standard name
_LEVELS = [
    (re.compile(r"([0-9.]+)hPa"), "pressure", {"standard_name": "air_pressure", "units": "hPa", "positive": "down"}),
    (re.compile(r"([0-9.]+)m"), "height", {"standard_name": "height", "units": "m", "positive": "up"}),
    (
        re.compile(r"ml([0-9]+)"),
        "model_level",
        {"standard_name": "model_level_number", "units": "1", "positive": "down"},
    ),
]
_LATITUDE = {"standard_name": "latitude", "units": "degrees_north"}
_LONGITUDE = {"standard_name": "longitude", "units": "degrees_east"}


def series(answer, variable: Variable, level: str) -> xarray.DataArray:
    """`[time]` of a GetSeriesResponse; missing values are NaN."""
    values = [each.value if each.HasField("value") else np.nan for each in answer.values]
    coordinates = {
        "time": ("time", [_time(each.valid_time) for each in answer.values], {"standard_name": "time"}),
        "lead_time": ("time", [_lead(each.lead_time) for each in answer.values], {"standard_name": "forecast_period"}),
        **_scalars(answer.run, level),
        "latitude": ((), answer.latitude, _LATITUDE),
        "longitude": ((), answer.longitude, _LONGITUDE),
    }
    attributes = _attributes(answer.run, variable, answer.units)
    attributes["interpolation"] = {1: "nearest", 2: "bilinear"}[answer.interpolation]
    return xarray.DataArray(np.asarray(values, np.float32), coordinates, ("time",), variable.name, attributes)


def field(parts, variable) -> xarray.DataArray:
    """`[latitude, longitude]`, or of projected grids `[y, x]`, of a stream of GetFieldResponse or GetAreaResponse.

    `variable` gives the Variable of a forecast's resource name. Pieces are checked by their checksum.
    """
    header = next(parts).header
    if header.data_type != 1:
        raise ValueError(f"the server sends data type {header.data_type}, which this client does not know")
    data = bytearray()
    for part in parts:
        piece = part.piece
        if piece.offset != len(data) or google_crc32c.value(piece.data) != piece.crc32c:
            raise ValueError(f"the field was damaged on its way, in the piece after {len(data)} bytes")
        data += piece.data
    if len(data) != header.total_bytes:
        raise ValueError(f"{len(data)} bytes of the field came, {header.total_bytes} were announced")
    dimensions, axes = _axes(header)
    coordinates = {
        **axes,
        "time": ((), _time(header.valid_time), {"standard_name": "time"}),
        "lead_time": ((), _lead(header.lead_time), {"standard_name": "forecast_period"}),
        **_scalars(header.run, header.level),
    }
    attributes = _attributes(header.run, variable(header.run.forecast), header.units)
    if header.grid_mapping:
        attributes["grid_mapping"] = "crs"
    values = np.frombuffer(data, "<f4").reshape(header.rows, header.columns)
    return xarray.DataArray(values, coordinates, dimensions, header.variable, attributes)


def _axes(header):
    """Dimensions and coordinates of a field's grid; of points with places of their own, their numbers."""
    if header.latitudes:
        latitude = ("latitude", np.array(header.latitudes), {**_LATITUDE, "axis": "Y"})
        longitude = ("longitude", np.array(header.longitudes), {**_LONGITUDE, "axis": "X"})
        return ("latitude", "longitude"), {"latitude": latitude, "longitude": longitude}
    if not header.y:
        numbers = {"y": (header.first_row, header.rows), "x": (header.first_column, header.columns)}
        return ("y", "x"), {axis: (axis, first + np.arange(count)) for axis, (first, count) in numbers.items()}
    mapping = {name: _number(value) for name, value in header.grid_mapping.items()}
    if mapping.get("grid_mapping_name") == "rotated_latitude_longitude":
        names, units = ("grid_latitude", "grid_longitude"), "degrees"
    else:
        names, units = ("projection_y_coordinate", "projection_x_coordinate"), "m"
    y = ("y", np.array(header.y), {"standard_name": names[0], "units": units, "axis": "Y"})
    x = ("x", np.array(header.x), {"standard_name": names[1], "units": units, "axis": "X"})
    return ("y", "x"), {"y": y, "x": x, "crs": ((), 0, mapping)}


def _number(text: str):
    """Attributes of a grid mapping come as text: numbers in decimal, lists of them as `[49, 44]`."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _scalars(run, level: str) -> dict:
    coordinates: dict = {}
    coordinates["reference_time"] = ((), _time(run.reference_time), {"standard_name": "forecast_reference_time"})
    for pattern, name, attributes in _LEVELS:
        if match := pattern.fullmatch(level):
            coordinates[name] = ((), float(match[1]), attributes)
    return coordinates


def _attributes(run, variable: Variable, units: str) -> dict:
    known = {"standard_name": variable.standard_name, "long_name": variable.long_name, "units": units}
    return {name: value for name, value in known.items() if value} | {"forecast": run.forecast}


def _time(timestamp) -> np.datetime64:
    return np.datetime64(timestamp.ToNanoseconds(), "ns")


def _lead(duration) -> np.timedelta64:
    return np.timedelta64(duration.ToNanoseconds(), "ns")
