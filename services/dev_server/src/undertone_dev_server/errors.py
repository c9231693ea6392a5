"""Errors of the development server and the gRPC status of each.

DevServerError
├── SettingsError               a flag, a variable or a configuration file is invalid: exit code 2
├── LoadError                   a version cannot be loaded: GetModelStatus reports the reason
├── StartError                  no version became available: exit code 255
└── CallError                   a call ends with a gRPC status
    ├── InvalidCallError        INVALID_ARGUMENT
    ├── ServableNotFoundError   NOT_FOUND
    ├── UnknownSignatureError   FAILED_PRECONDITION
    └── GraphError              the status that TensorFlow returned
"""

import grpc

STATUS_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}


class DevServerError(Exception):
    """Base class of all errors of this package."""


class SettingsError(DevServerError):
    """The server cannot run with these settings. The message names the setting and the remedy."""


class LoadError(DevServerError):
    """A version cannot be loaded. GetModelStatus reports `status` as its error code."""

    def __init__(self, message: str, status: grpc.StatusCode = grpc.StatusCode.DATA_LOSS) -> None:
        super().__init__(message)
        self.status = status


class StartError(DevServerError):
    """Every version has failed to load, or the server was stopped before the first load."""


class CallError(DevServerError):
    """A call fails with `status`. Status and message equal TF Serving's."""

    status = grpc.StatusCode.UNKNOWN


class InvalidCallError(CallError):
    """The request does not match the API or the signature."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class ServableNotFoundError(CallError):
    """The model is unknown, or the version is not available."""

    status = grpc.StatusCode.NOT_FOUND

    @classmethod
    def for_version(cls, model: str, version: int | None) -> "ServableNotFoundError":
        """The error for one version of a model, or for the newest version if `version` is None."""
        requested = f"Latest({model})" if version is None else f"Specific({model}, {version})"
        return cls(f"Servable not found for request: {requested}")


class UnknownSignatureError(CallError):
    """The model does not have the requested signature."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class GraphError(CallError):
    """TensorFlow rejected or failed the run, with `status`."""

    def __init__(self, message: str, status: grpc.StatusCode) -> None:
        super().__init__(message)
        self.status = status
