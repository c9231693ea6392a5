"""The telemetry settings of a process. All commands share them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

LOG_FORMATS: Final = ("plain", "json")

_MAX_SOCKET_PATH_BYTES: Final = 107
"""Maximum length of the path of a Unix socket on Linux: sun_path of unix(7), less its end."""


class TelemetryError(ValueError):
    """Invalid settings, or a port that cannot be opened.

    The message names each setting, its value and the remedy, one per line.
    """


def _option(help_text: str, metavar: str | None = None, *fallback_envvars: str) -> Mapping[str, Any]:
    """Metadata of a field, for `options.field_option`."""
    return {"help": help_text, "metavar": metavar, "fallback_envvars": fallback_envvars}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Which telemetry a process produces. Everything is off by default.

    Fields are named after flags and environment variables: `metrics_port` is --metrics-port and
    UNDERTONE_METRICS_PORT.

    Raises:
        TelemetryError: a value is invalid.
    """

    metrics_port: int | None = field(
        default=None, metadata=_option("HTTP port of the Prometheus metrics. 0 picks a free port and logs it.", "PORT")
    )
    metrics_host: str = field(default="localhost", metadata=_option("Address on which --metrics-port listens.", "HOST"))
    pushgateway: str = field(
        default="", metadata=_option("URL of a Prometheus Pushgateway, for jobs that end before a scrape.", "URL")
    )
    pushgateway_namespace: str = field(
        default="",
        metadata=_option(
            "Label `namespace` of the metrics in the Pushgateway. Jobs with the same name need different ones.", "NAME"
        ),
    )
    dogstatsd: str = field(
        default="",
        metadata=_option("Datadog agent for metrics and events: host:port, or unix:///path/to/socket.", "ADDRESS"),
    )
    otlp_endpoint: str = field(
        default="",
        metadata=_option(
            "URL of the gRPC port of an OpenTelemetry collector that receives traces.", "URL", "OTEL_EXPORTER_OTLP_ENDPOINT"
        ),
    )
    trace_sample: float = field(
        default=0.0, metadata=_option("Sampling ratio for traces started here: 0 = off, 1 = all.", "0..1")
    )
    log_format: str = field(default="plain", metadata=_option("Format of the log on standard error: plain or json."))

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise TelemetryError("\n".join(problems))

    @property
    def traced(self) -> bool:
        """Whether tracing is on."""
        return self.trace_sample > 0

    def _problems(self) -> Iterator[str]:
        # The comparison also rejects not-a-number.
        if not 0 <= self.trace_sample <= 1:
            yield f"--trace-sample is {self.trace_sample}; use a ratio from 0 (off) to 1 (all)"
        elif self.traced and not self.otlp_endpoint:
            yield f"--trace-sample {self.trace_sample} needs --otlp-endpoint, such as http://localhost:4317"
        elif self.traced and not _is_http(self.otlp_endpoint):
            yield (
                f"--otlp-endpoint is {self.otlp_endpoint!r}; use the URL of a collector's gRPC port, such as "
                "http://localhost:4317"
            )
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            yield f"--metrics-port is {self.metrics_port}; use a port from 0 to 65535"
        if self.pushgateway and not _is_http(self.pushgateway):
            yield f"--pushgateway is {self.pushgateway!r}; use a URL, such as http://pushgateway:9091"
        if self.pushgateway_namespace and not self.pushgateway:
            yield f"--pushgateway-namespace {self.pushgateway_namespace} needs --pushgateway, such as http://pushgateway:9091"
        if self.dogstatsd:
            try:
                parse_dogstatsd_address(self.dogstatsd)
            except ValueError as error:
                yield f"--dogstatsd is {error}"
        if self.log_format not in LOG_FORMATS:
            yield f"--log-format is {self.log_format!r}; use one of {', '.join(LOG_FORMATS)}"
        yield from self._missing_packages()

    def _missing_packages(self) -> Iterator[str]:
        needs = (
            (self.metrics_port is not None, "--metrics-port", "prometheus_client", "prometheus"),
            (bool(self.pushgateway), "--pushgateway", "prometheus_client", "prometheus"),
            (bool(self.dogstatsd), "--dogstatsd", "datadog", "datadog"),
            (self.traced, "--trace-sample", "opentelemetry.exporter.otlp.proto.grpc", "otel"),
        )
        for needed, flag, module, extra in needs:
            if needed and not _is_installed(module):
                yield f"{flag} needs packages that are not installed: pip install 'undertone-telemetry[{extra}]'"


def parse_dogstatsd_address(address: str) -> tuple[str | None, int | None, str | None]:
    """Parses the address of a DogStatsD socket.

    Returns:
        Host, port and path. The path is None for UDP; host and port are None for a Unix socket.

    Raises:
        ValueError: the address is invalid.
    """
    parts = urlsplit(address if "://" in address else f"udp://{address}")
    if parts.scheme in ("unix", "unixgram", "unixstream") and parts.path.startswith("/") and not parts.netloc:
        if (length := len(parts.path.encode())) > _MAX_SOCKET_PATH_BYTES:
            raise ValueError(
                f"{parts.path!r}, which has {length} bytes; the limit for a Unix socket is {_MAX_SOCKET_PATH_BYTES}: "
                "use a shorter path"
            )
        return None, None, address
    try:
        if parts.scheme == "udp" and parts.hostname and parts.port and not parts.path.strip("/"):
            return parts.hostname, parts.port, None
    except ValueError:
        pass  # the port is not a number, or too large
    raise ValueError(f"{address!r}; use host:port, or unix:///path/to/socket")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent of the module is missing
        return False
