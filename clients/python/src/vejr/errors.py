"""What a server refuses, in words and as values."""

from __future__ import annotations

import datetime

import grpc
from google.rpc import error_details_pb2, status_pb2


class Error(Exception):
    """A call that failed. `str(error)` is the server's sentence after the code.

    Attributes:
        code: of gRPC, such as `grpc.StatusCode.INVALID_ARGUMENT`.
        message: what was found, and what was expected.
        violations: of a request that cannot be, field → what is wrong with it.
        preconditions: of FAILED_PRECONDITION, type → description: `ANALYSIS_NOT_ARRIVED`, `STEP_NOT_PUBLISHED`, …
        retry_after: when to ask again; None where the server does not say.
    """

    def __init__(self, error: grpc.RpcError):
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details() or ""
        self.violations: dict[str, str] = {}
        self.preconditions: dict[str, str] = {}
        self.retry_after: datetime.timedelta | None = None
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                self._read(status_pb2.Status.FromString(value))
        super().__init__(f"{self.code.name}: {self.message}")

    def _read(self, status: status_pb2.Status) -> None:
        for detail in status.details:
            request = error_details_pb2.BadRequest()
            precondition = error_details_pb2.PreconditionFailure()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(request):
                self.violations = {each.field: each.description for each in request.field_violations}
            elif detail.Unpack(precondition):
                self.preconditions = {each.type: each.description for each in precondition.violations}
            elif detail.Unpack(retry):
                self.retry_after = retry.retry_delay.ToTimedelta()


class RunEnded(Exception):
    """A run that was waited for ended before its last step: it failed, was cancelled, or expired."""

    def __init__(self, forecast):
        self.forecast = forecast
        run = forecast.run
        why = f": {run.failure_reason}" if run.failure_reason else ""
        super().__init__(
            f"{forecast.name} is {run.state} after {run.steps_complete} of {run.steps_total} steps{why}"
        )
