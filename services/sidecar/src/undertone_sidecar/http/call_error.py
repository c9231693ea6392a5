"""The error of a request."""

import grpc


class CallError(Exception):
    """A call failed, or a request cannot become a call.

    Attributes:
        code: The gRPC code.
        message: What is wrong, and what to do.
        http_status: HTTP status of the answer. None takes that of the code.
        retry_after: Seconds until a retry may succeed. None if a retry is pointless.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, *, http_status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.retry_after = retry_after
