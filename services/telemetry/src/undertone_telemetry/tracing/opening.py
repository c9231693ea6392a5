"""Whether a process traces, and where to: OpenTelemetry is imported only if it does."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from undertone_telemetry.tracing.tracing import Tracing


def is_traced(sample: float) -> bool:
    """Whether a process with this --trace-sample traces at all."""
    return sample > 0


def problems(endpoint: str, sample: float) -> Iterator[str]:
    """A sentence for whatever is wrong with --otlp-endpoint and --trace-sample; the former counts only if there are traces."""
    # Written so that not-a-number fails it, too.
    if not 0 <= sample <= 1:
        yield f"--trace-sample is {sample}; it must be at least 0, for no traces, and at most 1, for all"
    elif is_traced(sample) and not _is_http(endpoint):
        wrong = f"--otlp-endpoint is {endpoint!r}" if endpoint else f"--trace-sample is {sample} without an --otlp-endpoint"
        yield f"{wrong}; write the URL of a collector's gRPC port, such as http://localhost:4317"


def open_tracing(
    endpoint: str, sample: float, *, service: str, lost: Callable[[int], None] = lambda _: None
) -> "Tracing | None":
    """What makes and sends spans; None if `sample` is 0. `problems` must have found nothing.

    `service` is service.name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES give another. `lost` hears, on another
    thread, how many spans could not be sent.
    """
    if not is_traced(sample):
        return None
    from undertone_telemetry.tracing.tracing import Tracing

    return Tracing.to_collector(endpoint, sample=sample, service=service, lost=lost)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
