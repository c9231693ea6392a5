"""What telemetry a process has: the same settings, and the same words for them, in every command."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final
from urllib.parse import urlsplit

from undertone_telemetry.address import parse_address
from undertone_telemetry.tracing import is_traced, problems

LOG_FORMATS: Final = ("plain", "json")


class TelemetryError(ValueError):
    """Settings are wrong, or a port cannot be opened; says which, and what would be right, a line each."""


def _said(meaning: str) -> dict[str, str]:
    return {"meaning": meaning}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Fields are named after their flags: metrics_port is --metrics-port, and UNDERTONE_METRICS_PORT in the environment.

    Everything is off by default. Raises TelemetryError.
    """

    metrics_port: int | None = field(
        default=None, metadata=_said("HTTP port of the Prometheus metrics; 0 takes a free one and logs it")
    )
    metrics_host: str = field(default="localhost", metadata=_said("address that the metrics' port is opened on"))
    pushgateway: str = field(
        default="", metadata=_said("URL of a Prometheus Pushgateway, for jobs that end before they are scraped")
    )
    dogstatsd: str = field(
        default="", metadata=_said("DataDog agent to send metrics and events to: host:port, or unix:///path/to/socket")
    )
    otlp_endpoint: str = field(default="", metadata=_said("URL of an OpenTelemetry collector's gRPC port, to send traces to"))
    trace_sample: float = field(
        default=0.0, metadata=_said("part of the traces begun here that is recorded, from 0, which traces nothing at all, to 1")
    )
    log_format: str = field(default="plain", metadata=_said("lines on standard error: plain or json"))

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise TelemetryError("\n".join(problems))

    @property
    def traced(self) -> bool:
        """Whether there are traces at all, for `logs.configure`."""
        return is_traced(self.trace_sample)

    def _problems(self) -> Iterator[str]:
        yield from problems(self.otlp_endpoint, self.trace_sample)
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            yield f"--metrics-port is {self.metrics_port}; it must be at least 0 and at most 65535"
        if self.pushgateway and not _is_http(self.pushgateway):
            yield f"--pushgateway is {self.pushgateway!r}; write a URL, such as http://pushgateway:9091"
        if self.dogstatsd:
            try:
                parse_address(self.dogstatsd)
            except ValueError as error:
                yield f"--dogstatsd is {error}"
        if self.log_format not in LOG_FORMATS:
            yield f"--log-format is {self.log_format!r}; choose one of {', '.join(LOG_FORMATS)}"


def meaning(name: str) -> str:
    """What a field's flag is for, for a command's help."""
    return str(next(setting for setting in fields(TelemetrySettings) if setting.name == name).metadata["meaning"])


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
