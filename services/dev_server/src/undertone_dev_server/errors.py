"""Everything that can go wrong here, and the gRPC status it becomes.

ModelServerError
├── SettingsError               a flag, a variable or the config file: exit status 2 before anything starts
├── LoadError                   a version that cannot be served: the reason is in GetModelStatus
└── CallError                   a call that is answered with a status
    ├── InvalidCallError        INVALID_ARGUMENT
    ├── ServableNotFoundError   NOT_FOUND
    ├── UnknownSignatureError   FAILED_PRECONDITION
    ├── DeadlinePassedError     DEADLINE_EXCEEDED
    └── GraphError              the status that TensorFlow gave
"""

import grpc

STATUS_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}


class ModelServerError(Exception):
    """Base of all errors of this package."""


class SettingsError(ModelServerError):
    """The server cannot run as it was asked to; the message names the setting and the remedy."""


class LoadError(ModelServerError):
    """A version cannot be served. `status` is what GetModelStatus reports as its error code."""

    def __init__(self, message: str, status: grpc.StatusCode = grpc.StatusCode.DATA_LOSS) -> None:
        super().__init__(message)
        self.status = status


class CallError(ModelServerError):
    """A call answered with `status` and the message, both as TF Serving gives them."""

    status = grpc.StatusCode.UNKNOWN


class InvalidCallError(CallError):
    """The request contradicts the API or the signature."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class ServableNotFoundError(CallError):
    """No such model, or no such version of it is available."""

    status = grpc.StatusCode.NOT_FOUND


class UnknownSignatureError(CallError):
    """The model has no signature of that name."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class DeadlinePassedError(CallError):
    """The caller's deadline passed before the graph ran."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED


class GraphError(CallError):
    """TensorFlow refused or failed the run."""

    def __init__(self, message: str, status: grpc.StatusCode) -> None:
        super().__init__(message)
        self.status = status
