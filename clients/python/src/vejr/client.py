"""The client."""

from __future__ import annotations

import datetime
import functools
import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, overload

import grpc
import numpy as np
import pandas
import xarray
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from . import arrays
from .errors import Error, RunEnded
from .records import AwaitedAnalysis, Event, Forecast, Model, Variable, record
from .v1 import data_pb2, data_pb2_grpc, forecast_pb2, forecast_pb2_grpc, model_pb2, model_pb2_grpc, run_pb2

# "10d", "6h", timedelta, numpy.timedelta64
LeadTime = str | datetime.timedelta | np.timedelta64
# "2001-01-01T00:00", datetime, numpy.datetime64; UTC where it does not say
Time = str | datetime.datetime | np.datetime64
# `forecasts/{model}/{reference_time}/{run_key}`, or `{model}/latest`
Named = str | Forecast

_KEEPALIVE = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 20_000)]
# what a watch goes on after: the server is away, or the connection broke
_BROKEN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN}


class Client:
    """A vejr server.

    Args:
        address: `host:port`.
        token: sent with every call as `authorization: Bearer TOKEN`. Use it with `tls`: without, the network can read it.
        tls: None: not encrypted; True: encrypted, the system's certification authorities are believed; a path: those in this
            PEM file.
        timeout: seconds that an answer may take; watching and whole fields may take as long as they do.

    Calls that fail raise `vejr.Error`. A client may be used from several threads.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        tls: bool | str | os.PathLike[str] | None = None,
        timeout: float = 60.0,
    ):
        if tls is None or tls is False:
            self._channel = grpc.insecure_channel(address, _KEEPALIVE)
        else:
            roots = None
            if tls is not True:
                with open(tls, "rb") as file:
                    roots = file.read()
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots), _KEEPALIVE)
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        self._timeout = timeout
        self._forecasts = forecast_pb2_grpc.ForecastServiceStub(self._channel)
        self._models = model_pb2_grpc.ModelServiceStub(self._channel)
        self._data = data_pb2_grpc.DataServiceStub(self._channel)
        # of concrete forecasts, whose variables never change
        self._variables: dict[str, dict[str, Variable]] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    # what there is

    def models(self) -> list[Model]:
        """The models that the server has."""
        pages = self._pages(self._models.ListModels, model_pb2.ListModelsRequest())
        return [record(model) for page in pages for model in page.models]

    def forecasts(
        self,
        model: str | None = None,
        *,
        states: Iterable[str] = (),
        since: Time | None = None,
        until: Time | None = None,
    ) -> Iterator[Forecast]:
        """The forecasts, the newest reference time first.

        Args:
            model: only of this model.
            states: only in these: queued, running, publishing, complete, failed, cancelled, expired.
            since: only reference times from this one on.
            until: only reference times up to and including this one.

        Forecasts that are there but cannot be read are told as a warning.
        """
        request = forecast_pb2.ListForecastsRequest(
            model=model or "",
            states=[_enum(run_pb2.RunState, "RUN_STATE_", state) for state in states],
            reference_time_from=_timestamp(since),
            reference_time_until=_timestamp(until),
        )
        for number, page in enumerate(self._pages(self._forecasts.ListForecasts, request)):
            if page.unreachable and number == 0:
                warnings.warn(f"forecasts that cannot be read: {', '.join(page.unreachable)}", stacklevel=2)
            yield from (record(forecast) for forecast in page.forecasts)

    def forecast(self, name: Named = "latest") -> Forecast:
        """One forecast: variables, levels, lead times, grid, provenance.

        Args:
            name: a forecast's `name`; `MODEL/latest` for the newest reference time with a published step; `latest` is that of
                the server's model, where it has one only.
        """
        if name == "latest":
            models = [model.name.removeprefix("models/") for model in self.models()]
            if len(models) != 1:
                known = ", ".join(f"{model}/latest" for model in models) or "it has none"
                raise ValueError(f"'latest' of which model? The server has {len(models)}: {known}")
            name = f"{models[0]}/latest"
        request = forecast_pb2.GetForecastRequest(name=_resource(name))
        return record(self._call(self._forecasts.GetForecast, request).forecast)

    def awaited_analyses(self, schedule: str | None = None) -> Iterator[AwaitedAnalysis]:
        """The analyses that the server's schedules wait for, or waited for, the newest reference time first."""
        request = forecast_pb2.ListAwaitedAnalysesRequest(schedule=schedule or "")
        for page in self._pages(self._forecasts.ListAwaitedAnalyses, request):
            yield from (record(analysis) for analysis in page.analyses)

    # asking for more

    def request(
        self,
        model: str,
        lead_time: LeadTime,
        *,
        reference_time: Time | None = None,
        request_id: str | None = None,
        encoding: str | None = None,
        true_winds: bool = False,
        start_within: LeadTime | None = None,
        members: int | None = None,
        seed: int | None = None,
        wait: bool = False,
        wait_for_analysis: LeadTime | None = None,
    ) -> Forecast:
        """Asks for a forecast. The same request joins the run that there is.

        Args:
            model: a model's name.
            lead_time: how far, a multiple of the model's time step.
            reference_time: time of the analysis; None: the newest that is there.
            request_id: a name for the request: the same name again gets the same answer and starts nothing.
            encoding: `float32` (as computed) or `packed` (integers at forecasters' precision); None: float32.
            true_winds: publish winds along the axes of a projected grid as winds to east and north.
            start_within: a run that is not begun within this time is not begun any more.
            members: size of the ensemble. seed: of its perturbations. Where the server makes ensembles.
            wait: return when the run is complete; raises `RunEnded` where it ends otherwise.
            wait_for_analysis: how long to ask again while the analysis has not arrived.
        """
        request = _message(
            forecast_pb2.RequestForecastRequest,
            model=f"models/{model.removeprefix('models/')}",
            reference_time=_timestamp(reference_time),
            lead_time=_duration(lead_time),
            request_id=request_id,
            encoding=None if encoding is None else _enum(forecast_pb2.Encoding, "ENCODING_", encoding),
            true_winds=true_winds or None,
            start_within=None if start_within is None else _duration(start_within),
            members=members,
            seed=seed,
        )
        patience = 0.0 if wait_for_analysis is None else _timedelta(wait_for_analysis).total_seconds()
        until = time.monotonic() + patience
        while True:
            try:
                forecast = record(self._call(self._forecasts.RequestForecast, request).forecast)
                break
            except Error as error:
                left = until - time.monotonic()
                if "ANALYSIS_NOT_ARRIVED" not in error.preconditions or left <= 0:
                    raise
                pause = error.retry_after.total_seconds() if error.retry_after else 60.0
                time.sleep(min(pause, left))
        return self.wait(forecast) if wait else forecast

    def watch(self, forecast: Named, *, resume_token: str = "", heartbeats: bool = False) -> Iterator[Event]:
        """What happens to a run: first what has happened, then everything as it happens, until it ends.

        Where the connection breaks or the server goes away, it goes on after the last event that was seen, for as long as it
        takes; every event is told once.

        Args:
            resume_token: of the last event that was seen; empty: from the beginning.
            heartbeats: tell of those, too: about every 5 s where nothing happens.
        """
        name, begun, pause = _resource(forecast), False, 0.5
        while True:
            request = forecast_pb2.WatchForecastRequest(name=name, resume_token=resume_token)
            try:
                for answer in self._stream(self._forecasts.WatchForecast, request):
                    event = record(answer)
                    # `latest` may be another one when the watch goes on
                    name, resume_token, begun, pause = event.run.forecast, event.resume_token, True, 0.5
                    if heartbeats or event.kind != "heartbeat":
                        yield event
                # the run has ended, or the server stops
                if self.forecast(name).run.is_final:
                    return
            except Error as error:
                if not begun or error.code not in _BROKEN:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 15.0)

    def wait(self, forecast: Named) -> Forecast:
        """Waits until a run is complete. Raises `RunEnded` where it ends otherwise."""
        name = _resource(forecast)
        for event in self.watch(name):
            name = event.run.forecast
        ended = self.forecast(name)
        if ended.run.state != "complete":
            raise RunEnded(ended)
        return ended

    def cancel(self, forecast: Named) -> Forecast:
        """Stops a run; the published steps stay. One that has ended stays as it is."""
        request = forecast_pb2.CancelForecastRequest(name=_resource(forecast))
        return record(self._call(self._forecasts.CancelForecast, request).forecast)

    # numbers

    @overload
    def series(
        self,
        forecast: Named,
        variable: str,
        level: str,
        *,
        latitude: float,
        longitude: float,
        interpolation: str = ...,
        units: str | None = ...,
        member: int | str | None = ...,
    ) -> xarray.DataArray: ...

    @overload
    def series(
        self,
        forecast: Named,
        variable: list[str],
        level: str,
        *,
        latitude: float,
        longitude: float,
        interpolation: str = ...,
        units: str | None = ...,
        member: int | str | None = ...,
    ) -> xarray.Dataset: ...

    def series(
        self,
        forecast,
        variable,
        level,
        *,
        latitude,
        longitude,
        interpolation="nearest",
        units=None,
        member=None,
    ):
        """Values at one place at all published lead times.

        Args:
            variable: a short name, for a DataArray; or a list of them, for a Dataset.
            level: `surface`, `500hPa`, `100m` or `ml8`.
            latitude: degrees north.
            longitude: degrees east, -360 to 360.
            interpolation: `nearest`, or `bilinear` between the four points around.
            units: of the answer, such as `degC`, `kn`, `hPa`; None: as stored.
            member: of an ensemble, its number; or what is made of all of them: `mean`, `spread`, `q90`.

        Returns:
            float32 `[time]`, where `time` is the valid time; with `lead_time` along it, and `reference_time`, the level
            (`pressure` in hPa, `height` in m, `model_level`), and `latitude` and `longitude` of the point that the values are
            for. Missing values are NaN.
        """
        if isinstance(variable, list):
            place = dict(latitude=latitude, longitude=longitude, interpolation=interpolation)
            # all of one run, also where the newest one changes meanwhile
            name = self.forecast(forecast).name
            one = [self.series(name, each, level, **place, units=units, member=member) for each in variable]
            return xarray.Dataset({each.name: each for each in one})
        request = _message(
            data_pb2.GetSeriesRequest,
            forecast=_resource(forecast),
            variable=variable,
            level=level,
            latitude=latitude,
            longitude=longitude,
            interpolation=_enum(data_pb2.Interpolation, "INTERPOLATION_", interpolation),
            units=units,
            **_whose(member),
        )
        answer = self._call(self._data.GetSeries, request)
        return arrays.series(answer, self._variable(answer.run.forecast, variable), level)

    def field(
        self,
        forecast: Named,
        variable: str,
        level: str,
        lead_time: LeadTime | list[LeadTime] | list[datetime.timedelta],
        *,
        member: int | str | None = None,
    ) -> xarray.DataArray:
        """A whole field, at one lead time or several.

        Args:
            variable: a short name.
            level: `surface`, `500hPa`, `100m` or `ml8`.
            lead_time: one that is published; a list of them makes the first dimension, `time`.
            member: of an ensemble, its number; or what is made of all of them: `mean`, `spread`, `q90`.

        Returns:
            float32 `[latitude, longitude]` (degrees, north to south and eastward), or `[y, x]` with the projection's attributes
            at `crs`, in the variable's units. Points that have places of their own are `[y, x]`, with their numbers in the
            published Zarr store, which has the places. Missing values are NaN.
        """
        if isinstance(lead_time, list):
            one = functools.partial(self.field, variable=variable, level=level, member=member)
            return self._steps(one, forecast, lead_time)
        request = _message(
            data_pb2.GetFieldRequest,
            forecast=_resource(forecast),
            variable=variable,
            level=level,
            lead_time=_duration(lead_time),
            **_whose(member),
        )
        parts = self._stream(self._data.GetField, request)
        return arrays.field(parts, lambda name: self._variable(name, variable))

    def area(
        self,
        forecast: Named,
        variable: str,
        level: str,
        lead_time: LeadTime | list[LeadTime] | list[datetime.timedelta],
        *,
        bbox: tuple[float, float, float, float],
        units: str | None = None,
        member: int | str | None = None,
    ) -> xarray.DataArray:
        """The part of a field that a bounding box holds, at one lead time or several.

        Args:
            variable, level, lead_time, member: as of `field`.
            bbox: west, south, east, north: degrees east (-360 to 360) and north. With west greater than east it crosses the
                antimeridian.
            units: of the answer, such as `degC`, `kn`, `hPa`; None: as stored.

        Returns:
            The smallest window of the field, as `field` gives it, with all grid points in the box or on its edges. Longitudes
            ascend from the west of the box, also where they pass the grid's last one. On grids whose rows are not parallels some
            points of the window lie outside the box.
        """
        if isinstance(lead_time, list):
            one = functools.partial(self.area, variable=variable, level=level, bbox=bbox, units=units, member=member)
            return self._steps(one, forecast, lead_time)
        west, south, east, north = bbox
        request = _message(
            data_pb2.GetAreaRequest,
            forecast=_resource(forecast),
            variable=variable,
            level=level,
            lead_time=_duration(lead_time),
            bbox=data_pb2.BoundingBox(west=west, south=south, east=east, north=north),
            units=units,
            **_whose(member),
        )
        parts = self._stream(self._data.GetArea, request)
        return arrays.field(parts, lambda name: self._variable(name, variable))

    # how

    def _steps(self, one, forecast: Named, lead_times: list) -> xarray.DataArray:
        """What `one` gives of each lead time, along `time`: all of one run, also where the newest one changes meanwhile."""
        name = self.forecast(forecast).name
        steps = [one(name, lead_time=lead) for lead in lead_times]
        return xarray.concat(steps, "time", coords="different", compat="equals", combine_attrs="drop_conflicts")

    def _call(self, method, request):
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Error(error) from None

    def _stream(self, method, request) -> Iterator:
        try:
            yield from method(request, metadata=self._metadata)
        except grpc.RpcError as error:
            raise Error(error) from None

    def _pages(self, method, request) -> Iterator:
        while True:
            page = self._call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _variable(self, forecast: str, name: str) -> Variable:
        if forecast not in self._variables:
            if len(self._variables) >= 100:
                self._variables.clear()
            self._variables[forecast] = {each.name: each for each in self.forecast(forecast).variables}
        return self._variables[forecast][name]


def _whose(member):
    """One member, or what is made of all."""
    return {"statistic": member} if isinstance(member, str) else {"member": member}


def _message(kind, **fields):
    """A request without what is not asked for; a server's interface that has not the rest makes it a ValueError."""
    return kind(**{name: value for name, value in fields.items() if value is not None})


def _resource(forecast: Named) -> str:
    name = forecast.name if isinstance(forecast, Forecast) else forecast
    return f"forecasts/{name.removeprefix('forecasts/')}"


def _enum(kind, prefix: str, word: str) -> Any:
    try:
        return kind.Value(prefix + word.upper())
    except ValueError:
        known = [name.removeprefix(prefix).lower() for name in kind.keys()]
        known.remove("unspecified")
        raise ValueError(f"{word!r} is none of {', '.join(known)}") from None


def _timedelta(lead: LeadTime) -> datetime.timedelta:
    if isinstance(lead, str) and (match := re.fullmatch(r"([0-9]+)([dhms])", lead)):
        unit = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}[match[2]]
        return datetime.timedelta(**{unit: int(match[1])})
    if isinstance(lead, np.timedelta64):
        return pandas.Timedelta(lead).to_pytimedelta()
    if isinstance(lead, datetime.timedelta):
        return lead
    # a bare number could be anything
    raise ValueError(f"{lead!r} is no lead time; expected one such as '24h', '90m' or '10d', or a timedelta")


def _duration(lead: LeadTime) -> Duration:
    duration = Duration()
    duration.FromTimedelta(_timedelta(lead))
    return duration


def _timestamp(moment: Time | None) -> Timestamp | None:
    if moment is None:
        return None
    utc = pandas.Timestamp(moment)
    if utc.tzinfo is None:
        utc = utc.tz_localize("UTC")
    timestamp = Timestamp()
    timestamp.FromNanoseconds(utc.as_unit("ns").value)
    return timestamp
