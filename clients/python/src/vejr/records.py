"""What the server tells, as plain values: times are `datetime` in UTC, durations `timedelta`, states words."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from google.protobuf import descriptor, message


@dataclasses.dataclass(frozen=True)
class Run:
    """How far a run is. `state` is queued, running, publishing, complete, failed, cancelled or expired."""

    forecast: str
    reference_time: datetime.datetime
    state: str
    steps_complete: int
    steps_total: int
    failure_reason: str
    fault: str
    age: datetime.timedelta | None

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more, unless somebody asks for it again."""
        return self.state in ("complete", "failed", "cancelled", "expired")


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of a forecast. `derived`: it is not stored, and follows from variables that are."""

    name: str
    standard_name: str
    long_name: str
    units: str
    levels: list[str]
    derived: bool


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where the points are: `latitudes` and `longitudes` of parallels and meridians in degrees, or `y` and `x` of a map
    projection with the CF attributes `grid_mapping`; neither where every point has a place of its own."""

    description: str
    rows: int
    columns: int
    latitudes: list[float] = dataclasses.field(repr=False)
    longitudes: list[float] = dataclasses.field(repr=False)
    y: list[float] = dataclasses.field(repr=False)
    x: list[float] = dataclasses.field(repr=False)
    grid_mapping: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A worker's try at a run; `end_time` is None while it goes on."""

    worker: str
    start_time: datetime.datetime
    end_time: datetime.datetime | None
    steps: int
    outcome: str


@dataclasses.dataclass(frozen=True)
class Forecast:
    """One forecast. Of a run that has not published anything, `variables`, the lead times and `grid` are empty.
    `attempts` are told by `Client.forecast` alone."""

    name: str
    model: str
    run_key: str
    run: Run
    variables: list[Variable]
    lead_times: list[datetime.timedelta]
    published_lead_times: list[datetime.timedelta]
    grid: Grid | None
    provenance: dict[str, str]
    attempts: list[Attempt]
    joined_requests: int

    def variable(self, name: str) -> Variable:
        """The variable of this name."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise LookupError(f"{name!r} is not in {self.name}; available: {', '.join(v.name for v in self.variables)}")


@dataclasses.dataclass(frozen=True)
class Event:
    """What happened to a run: `kind` is state, step (it can be read now) or heartbeat (nothing new). `run` is as it stood
    then, `lead_time` that of the newest step."""

    kind: str
    run: Run
    lead_time: datetime.timedelta | None
    event_time: datetime.datetime
    detail: str
    resume_token: str


@dataclasses.dataclass(frozen=True)
class ModelChannel:
    """One field that a network computes."""

    variable: str
    standard_name: str
    level: str
    units: str


@dataclasses.dataclass(frozen=True)
class Model:
    """A model that the server has."""

    name: str
    title: str
    version: str
    architecture: str
    licence: str
    time_step: datetime.timedelta
    grid: str
    channels: list[ModelChannel]
    digest: str


@dataclasses.dataclass(frozen=True)
class AwaitedAnalysis:
    """What became of an analysis that a schedule waits for: `state` is waiting, late, requested, refused or missing."""

    schedule: str
    model: str
    reference_time: datetime.datetime
    state: str
    forecast: str
    replaced: int
    detail: str
    request_time: datetime.datetime | None


# protobuf message → record
_RECORDS = {
    "Run": Run,
    "ForecastVariable": Variable,
    "Grid": Grid,
    "Attempt": Attempt,
    "Forecast": Forecast,
    "WatchForecastResponse": Event,
    "ModelChannel": ModelChannel,
    "Model": Model,
    "AwaitedAnalysis": AwaitedAnalysis,
}


def record(message: message.Message) -> Any:
    """The record of a message: field by field, by name."""
    fields = message.DESCRIPTOR.fields_by_name
    kind = _RECORDS[message.DESCRIPTOR.name]
    return kind(**{field.name: _value(message, fields[field.name]) for field in dataclasses.fields(kind)})


def _value(message: message.Message, field: descriptor.FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    if isinstance(value, (str, bytes, bool, float)):
        return value
    if field.enum_type is not None:
        # RUN_STATE_COMPLETE of RunState → complete; one that is newer than this client stays a number
        known = field.enum_type.values_by_number.get(value)
        prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
        return known.name.removeprefix(prefix).lower() if known else str(value)
    if isinstance(value, int):
        return value
    if field.message_type is None:
        return list(value)
    if field.message_type.GetOptions().map_entry:
        return dict(value)
    if hasattr(value, "__len__"):
        return [_message(each) for each in value]
    return _message(value) if message.HasField(field.name) else None


def _message(value: message.Message) -> Any:
    match value.DESCRIPTOR.full_name:
        case "google.protobuf.Timestamp":
            return value.ToDatetime(datetime.timezone.utc)
        case "google.protobuf.Duration":
            return value.ToTimedelta()
    return record(value)
