"""From the request to the numbers, against a real server; numbers are compared with the store that it publishes."""

import datetime
import threading

import grpc
import numpy as np
import pytest
import vejr
import xarray
from conftest import MODEL, SAMPLE, Site

HOUR = datetime.timedelta(hours=1)
START = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture(scope="session")
def published(site, forecast):
    """The same forecast as xarray opens it."""
    path = f"{site.folder}/{forecast.name}/forecast.zarr"
    return xarray.open_zarr(path, chunks=None).squeeze("reference_time").load()


def test_models_and_forecasts_are_described(client, forecast):
    (model,) = client.models()
    assert (model.name, model.time_step, model.architecture) == (f"models/{MODEL}", 6 * HOUR, "sfno")
    assert [channel.units for channel in model.channels if channel.level == "500hPa"].count("K") == 1

    assert (forecast.run.state, forecast.run.steps_complete, forecast.run.reference_time) == ("complete", 9, START)
    assert forecast.published_lead_times == [step * 6 * HOUR for step in range(9)] == forecast.lead_times
    assert (forecast.grid.rows, forecast.grid.columns, len(forecast.grid.latitudes)) == (48, 96, 48)
    assert forecast.variable("t").units == "K" and "500hPa" in forecast.variable("t").levels
    assert [attempt.steps for attempt in forecast.attempts] == [9]
    with pytest.raises(LookupError, match="available: u, v"):
        forecast.variable("t9")

    assert forecast.name in [each.name for each in client.forecasts(MODEL, states=["complete"], since=START)]
    assert not list(client.forecasts(MODEL, until="2000-12-31"))
    assert client.forecast(f"{MODEL}/latest").run_key == client.forecast("latest").run_key
    assert list(client.awaited_analyses()) == []
    with pytest.raises(ValueError, match="queued, publishing, cancelled|complete"):
        list(client.forecasts(states=["done"]))


def test_the_same_request_joins_the_run(client, forecast):
    again = client.request(MODEL, 48 * HOUR, reference_time=START, request_id="twice", encoding="float32", wait=True)
    assert again.name == forecast.name and again.joined_requests >= 1


def test_a_watch_tells_every_step(client, forecast):
    events = list(client.watch(forecast))
    assert [event.run.steps_complete for event in events if event.kind == "step"] == list(range(1, 10))
    assert events[-1].run.state == "complete" and events[-1].lead_time == 48 * HOUR
    assert len(list(client.watch(forecast, resume_token=events[-3].resume_token))) == 2
    assert list(client.watch(forecast, resume_token=events[-1].resume_token)) == []


def test_a_series_is_what_is_published(client, forecast, published):
    place = dict(latitude=55.7, longitude=12.6)
    found = client.series(forecast, "t", "500hPa", **place)
    expected = published.t.sel(pressure=500).sel(**place, method="nearest")
    assert found.dims == ("time",) and found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found.time, expected.valid_time)
    np.testing.assert_array_equal(found.lead_time, expected.valid_time - expected.reference_time)
    assert found.reference_time == expected.reference_time
    assert (found.latitude, found.longitude, found.pressure) == (expected.latitude, expected.longitude, 500)
    assert found.attrs["standard_name"] == "air_temperature" == published.t.attrs["standard_name"]
    assert (found.attrs["units"], found.attrs["forecast"]) == ("K", forecast.name)

    celsius = client.series(forecast, "t", "500hPa", **place, units="degC")
    assert celsius.attrs["units"] == "degC"
    np.testing.assert_allclose(celsius, found - 273.15, atol=1e-4)

    between = client.series(forecast, "t", "500hPa", **place, interpolation="bilinear")
    corners = published.t.sel(pressure=500).sel(latitude=slice(58, 53), longitude=slice(11, 16))
    assert corners.shape[1:] == (2, 2)
    north = (place["latitude"] - corners.latitude[1]) / (corners.latitude[0] - corners.latitude[1])
    east = (place["longitude"] - corners.longitude[0]) / (corners.longitude[1] - corners.longitude[0])
    rows = corners[:, 1] * (1 - north) + corners[:, 0] * north
    np.testing.assert_allclose(between, rows[:, 0] * (1 - east) + rows[:, 1] * east, rtol=1e-6)
    assert (between.latitude, between.attrs["interpolation"]) == (55.7, "bilinear")

    both = client.series(f"{MODEL}/latest", ["u", "v"], "200hPa", **place)
    assert isinstance(both, xarray.Dataset) and both.sizes == {"time": 9}
    np.testing.assert_array_equal(both.v, published.v.sel(pressure=200).sel(**place, method="nearest"))


def test_a_field_is_what_is_published(client, forecast, published, tmp_path):
    found = client.field(forecast, "z", "500hPa", "24h")
    expected = published.z.sel(pressure=500, lead_time=24)
    assert found.dims == ("latitude", "longitude") == expected.dims
    np.testing.assert_array_equal(found, expected)
    for axis in ["latitude", "longitude"]:
        np.testing.assert_array_equal(found[axis], expected[axis])
        assert found[axis].attrs["units"] == expected[axis].attrs["units"]
    assert found.time == expected.valid_time and found.lead_time == np.timedelta64(24, "h")
    assert found.attrs["standard_name"] == "geopotential" and found.attrs["units"] == expected.attrs["units"]

    several = client.field(forecast, "sp", "surface", [0 * HOUR, np.timedelta64(6, "h"), "12h"])
    assert several.dims == ("time", "latitude", "longitude") and several.name == "sp"
    np.testing.assert_array_equal(several, published.sp[:3])
    np.testing.assert_array_equal(several.lead_time, [np.timedelta64(hours, "h") for hours in [0, 6, 12]])
    several.to_netcdf(tmp_path / "sp.nc")
    with xarray.open_dataset(tmp_path / "sp.nc", decode_timedelta=True) as back:
        xarray.testing.assert_equal(back.sp.load(), several)


def test_an_area_is_a_window_of_the_field(client, forecast, published):
    field = published.z.sel(pressure=500, lead_time=24)
    found = client.area(forecast, "z", "500hPa", "24h", bbox=(5, 40, 31, 60))
    expected = field.sel(latitude=slice(60, 40), longitude=slice(5, 31))
    assert found.dims == ("latitude", "longitude") and found.shape == expected.shape == (5, 7)
    np.testing.assert_array_equal(found, expected)
    for axis in ["latitude", "longitude"]:
        np.testing.assert_array_equal(found[axis], expected[axis])
    assert found.time == expected.valid_time and found.attrs["units"] == expected.attrs["units"]

    # across the grid's first meridian and the antimeridian, eastward
    for bbox, longitudes in [
        ((-20, -30, 20, 30), np.arange(-18.75, 20, 3.75)),
        ((170, -30, -160, 30), np.arange(172.5, 200.1, 3.75)),
    ]:
        across = client.area(forecast, "z", "500hPa", "24h", bbox=bbox)
        np.testing.assert_array_equal(across.longitude, longitudes)
        expected = field.sel(latitude=slice(30, -30)).sel(longitude=longitudes % 360)
        np.testing.assert_array_equal(across, expected)

    celsius = client.area(forecast, "t", "500hPa", ["0h", 6 * HOUR], bbox=(5, 40, 31, 60), units="degC")
    assert celsius.dims == ("time", "latitude", "longitude") and celsius.attrs["units"] == "degC"
    kelvin = published.t.sel(pressure=500, latitude=slice(60, 40), longitude=slice(5, 31))[:2]
    np.testing.assert_allclose(celsius, kelvin - 273.15, atol=1e-4)

    with pytest.raises(vejr.Error) as wrong:
        client.area(forecast, "t", "500hPa", "24h", bbox=(0, 60, 400, 40))
    assert set(wrong.value.violations) == {"bbox.east"}
    with pytest.raises(vejr.Error) as empty:
        client.area(forecast, "t", "500hPa", "24h", bbox=(0.1, 0.1, 0.2, 0.2))
    assert "holds no point of the grid: 48×96" in empty.value.violations["bbox"]


def test_errors_keep_code_message_and_fields(client, forecast):
    with pytest.raises(vejr.Error) as wrong:
        client.series(forecast, "t9", "501hPa", latitude=91, longitude=0)
    assert wrong.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(wrong.value.violations) == {"variable", "latitude"}
    assert "available: u, v, t, z, sp" in wrong.value.violations["variable"]
    assert "INVALID_ARGUMENT: variable" in str(wrong.value)
    with pytest.raises(vejr.Error) as wrong:
        client.field(forecast, "t", "501hPa", "5h")
    assert set(wrong.value.violations) == {"level", "lead_time"}
    with pytest.raises(vejr.Error) as missing:
        client.forecast(f"{MODEL}/2001-01-01T0000Z/00")
    assert missing.value.code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(vejr.Error, match="no-such"):
        list(client.watch("no-such/2001-01-01T0000Z/00"))
    with pytest.raises(ValueError, match="24 is no lead time"):
        client.field(forecast, "t", "500hPa", 24)
    with pytest.raises(ValueError, match="nearest, bilinear"):
        client.series(forecast, "t", "500hPa", latitude=0, longitude=0, interpolation="cubic")


def test_a_run_that_fails_says_why(client):
    with pytest.raises(vejr.RunEnded, match="is failed after 0 of 2 steps: .*2031") as ended:
        client.request(MODEL, "6h", reference_time="2031-01-01", wait=True)
    assert ended.value.forecast.run.fault == "input"


def test_a_server_that_is_away_is_an_error():
    with vejr.Client("127.0.0.1:1") as client, pytest.raises(vejr.Error) as away:
        client.models()
    assert away.value.code is grpc.StatusCode.UNAVAILABLE


def test_a_run_is_cancelled_and_waiting_for_it_says_so(client):
    run = client.request(MODEL, "15d", reference_time="2001-01-01T12:00")
    first = next(iter(client.watch(run)))
    assert first.kind == "state"
    cancelled = client.cancel(run)
    assert cancelled.name == run.name
    with pytest.raises(vejr.RunEnded, match="is cancelled after") as ended:
        client.wait(run)
    assert ended.value.forecast.run.steps_complete < 61


def test_a_watch_survives_the_death_of_the_server(tmp_path):
    site = Site(tmp_path)
    site.start()
    try:
        with vejr.Client(site.address) as client:
            events = []
            for event in client.watch(client.request(MODEL, "15d", reference_time=START)):
                events.append(event)
                if event.kind == "step" and event.run.steps_complete == 5:
                    site.kill()
                    site.start()
    finally:
        site.kill()
    steps = [event.run.steps_complete for event in events if event.kind == "step"]
    assert steps == list(range(1, 62)), steps
    assert events[-1].run.state == "complete"
    assert len({event.resume_token for event in events}) == len(events)


def test_an_analysis_is_waited_for(tmp_path):
    site = Site(tmp_path, f"{tmp_path}/arrivals/{{reference_time:%Y%m%d%H}}.nc")
    (tmp_path / "arrivals").mkdir()
    site.start()
    arrive = threading.Timer(2, lambda: (tmp_path / "arrivals/2001010106.nc").symlink_to(SAMPLE))
    try:
        with vejr.Client(site.address) as client:
            ask = dict(model=MODEL, lead_time="6h", reference_time="2001-01-01T06:00")
            with pytest.raises(vejr.Error) as early:
                client.request(**ask)
            assert "ANALYSIS_NOT_ARRIVED" in early.value.preconditions
            assert early.value.retry_after > datetime.timedelta(0)
            arrive.start()
            assert client.request(**ask, wait_for_analysis="5s", wait=True).run.state == "complete"
    finally:
        arrive.cancel()
        site.kill()
