"""What a downstream application does: generate a client from proto/, ask the server what it has, and call it.

    python grpc_client.py ADDRESS PROTO_FOLDER
"""

import importlib
import math
import struct
import sys
import tempfile
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from grpc_tools import protoc

MODEL = "made-up-planet"
METHODS = {
    "vejr.v1.ForecastService": [
        "RequestForecast",
        "WatchForecast",
        "CancelForecast",
        "ListForecasts",
        "GetForecast",
        "ListAwaitedAnalyses",
    ],
    "vejr.v1.DataService": ["GetTile", "GetField", "GetArea", "GetSeries"],
    "vejr.v1.ModelService": ["ListModels", "GetModel"],
}


def generate(protos):
    """Modules by short name, made by protoc in a temporary folder."""
    folder = tempfile.mkdtemp(prefix="vejr-client-")
    files = sorted(str(path) for path in Path(protos).rglob("*.proto"))
    well_known = str(Path(protoc.__file__).parent / "_proto")
    arguments = [f"-I{protos}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", *arguments, *files]) == 0
    sys.path.insert(0, folder)
    names = [f"{name}_pb2{suffix}" for name in ["data", "forecast", "model", "run"] for suffix in ["", "_grpc"]]
    return {name: importlib.import_module(f"vejr.v1.{name}") for name in names}


def crc32c(data):
    """Castagnoli's polynomial, reflected."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def violations(call):
    """The field violations of a call that must be refused as an invalid argument."""
    try:
        result = call()
        list(result) if hasattr(result, "__next__") else result
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        for detail in rpc_status.from_call(error).details:
            request = error_details_pb2.BadRequest()
            if detail.Unpack(request):
                return {violation.field: violation.description for violation in request.field_violations}
        raise AssertionError(f"no details: {error}")
    raise AssertionError("the call went through")


def main(address, protos):
    modules = generate(protos)
    data, forecast, model = (modules[f"{name}_pb2"] for name in ["data", "forecast", "model"])
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        assert services >= {*METHODS, "grpc.health.v1.Health"}, services
        pool = DescriptorPool(database)
        for service, methods in METHODS.items():
            described = [method.name for method in pool.FindServiceByName(service).methods]
            assert described == methods, described
        print("described by reflection:", ", ".join(sorted(services)))

        forecasts = modules["forecast_pb2_grpc"].ForecastServiceStub(channel)
        listed = forecasts.ListForecasts(forecast.ListForecastsRequest(page_size=10)).forecasts
        latest = forecasts.GetForecast(forecast.GetForecastRequest(name=f"forecasts/{MODEL}/latest")).forecast
        assert listed[0].name == latest.name, (listed, latest)
        print("listed:", *(each.name for each in listed))

        numbers = modules["data_pb2_grpc"].DataServiceStub(channel)
        field = dict(forecast=latest.name, variable="t", level="500hPa", lead_time=Duration(seconds=24 * 3600))
        header, *pieces = numbers.GetField(data.GetFieldRequest(**field))
        values = b"".join(message.piece.data for message in pieces)
        assert all(message.piece.crc32c == crc32c(message.piece.data) for message in pieces)
        shape = len(header.header.latitudes), len(header.header.longitudes)
        array = struct.unpack(f"<{shape[0] * shape[1]}f", values)
        assert all(180 < value < 320 for value in array)
        print(f"field: {shape[0]}×{shape[1]}, {min(array):.1f} to {max(array):.1f} {header.header.units}")

        box = data.BoundingBox(west=170, south=-20, east=-160, north=30)
        window, *pieces = numbers.GetArea(data.GetAreaRequest(**field, bbox=box, units="degC"))
        header, window = header.header, window.header
        rows = [row for row, latitude in enumerate(header.latitudes) if -20 <= latitude <= 30]
        columns = [column for column, longitude in enumerate(header.longitudes) if 170 <= longitude <= 200]
        assert list(window.latitudes) == [header.latitudes[row] for row in rows]
        assert list(window.longitudes) == [header.longitudes[column] for column in columns]
        assert (window.first_row, window.first_column, window.units) == (rows[0], columns[0], "degC")
        part = struct.unpack(f"<{len(rows) * len(columns)}f", b"".join(message.piece.data for message in pieces))
        expected = [array[row * shape[1] + column] - 273.15 for row in rows for column in columns]
        assert all(abs(found - value) < 1e-3 for found, value in zip(part, expected, strict=True))
        print(f"area: {len(rows)}×{len(columns)}, {window.longitudes[0]} to {window.longitudes[-1]} °E")

        tile = numbers.GetTile(data.GetTileRequest(**field, zoom=1, x=0, y=1, format=data.TILE_FORMAT_PNG))
        assert tile.data[:4] == b"\x89PNG" and tile.run.forecast == latest.name
        place = dict(forecast=latest.name, variable="z", level="500hPa", latitude=55.7, longitude=12.6)
        series = numbers.GetSeries(data.GetSeriesRequest(**place))
        assert len(series.values) == series.run.steps_complete == latest.run.steps_total
        assert all(value.HasField("value") and math.isfinite(value.value) for value in series.values)
        print(f"series: {len(series.values)} values at {series.latitude:.2f} °N, {series.longitude:.2f} °E")

        models = modules["model_pb2_grpc"].ModelServiceStub(channel)
        assert len(models.ListModels(model.ListModelsRequest()).models) == 2
        assert models.GetModel(model.GetModelRequest(name=f"models/{MODEL}")).model.version == "1.0.0"

        wrong = violations(lambda: numbers.GetField(data.GetFieldRequest(**{**field, "variable": "t9"})))
        assert list(wrong) == ["variable"] and "available: t, u, v, z, sp" in wrong["variable"], wrong
        print("a variable that is not there:", wrong)
        nowhere = data.BoundingBox(west=0.1, south=0.1, east=0.2, north=0.2)
        empty = violations(lambda: numbers.GetArea(data.GetAreaRequest(**field, bbox=nowhere)))
        assert list(empty) == ["bbox"] and "holds no point of the grid: 48×96" in empty["bbox"], empty
        bare = violations(lambda: numbers.GetTile(data.GetTileRequest(forecast=latest.name)))
        assert set(bare) == {"format", "zoom", "x", "y", "variable", "level", "lead_time"}, bare


if __name__ == "__main__":
    main(*sys.argv[1:])
