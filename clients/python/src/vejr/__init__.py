"""Forecasts of a vejr server, as xarray objects.

    import vejr

    with vejr.Client("localhost:8080") as client:
        forecast = client.request("held-suarez-sfno", "10d", reference_time="2001-01-01T00:00", wait=True)
        client.series(forecast, "t", "500hPa", latitude=55.7, longitude=12.6, units="degC").plot()

`vejr.v1` has the messages and stubs of the interface itself.
"""

from .client import Client
from .errors import Error, RunEnded
from .records import Attempt, AwaitedAnalysis, Event, Forecast, Grid, Model, ModelChannel, Run, Variable

__all__ = [
    "Attempt",
    "AwaitedAnalysis",
    "Client",
    "Error",
    "Event",
    "Forecast",
    "Grid",
    "Model",
    "ModelChannel",
    "Run",
    "RunEnded",
    "Variable",
]
