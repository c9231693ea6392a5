"""The settings of the sidecar: one frozen object with checked values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

import click
from undertone_protos.unix_address import unix_address_problem
from undertone_telemetry import TelemetryError, TelemetrySettings
from undertone_telemetry.options import IntegerRange, NumberRange, PortOrOff

from undertone_sidecar.answer_cache.settings import CacheSettings
from undertone_sidecar.batching import BatchLimits
from undertone_sidecar.cpu import ThreadSettings
from undertone_sidecar.errors import SettingsError
from undertone_sidecar.http_settings import HttpSettings
from undertone_sidecar.memory import MemorySettings
from undertone_sidecar.options import Memory, boolean_option, file_option, option
from undertone_sidecar.request_limits import RequestLimits
from undertone_sidecar.tls import TlsFiles

_TARGET: Final = re.compile(r"unix(-abstract)?:.+|.+:\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ThreadSettings, CacheSettings, HttpSettings):
    """All settings.

    Each field is a flag, and its metadata are attributes of the option. Times are in seconds.

    Raises:
        SettingsError: At least one value is invalid. The message lists all problems.
    """

    model_dir: Path = field(
        metadata=option(
            "Folder of the model. It contains a folder for each version, with contract.json and tokenizer.json.",
            click.Path(path_type=Path),
            "DIR",
        )
    )
    model_name: str = field(
        default="",
        metadata=option("Name of the model in the model server.", metavar="NAME", show_default="the last part of --model-dir"),
    )
    model_server: str = field(
        default="localhost:8500",
        metadata=option("gRPC target of the model server: host:port, or unix:///path/to/socket.", metavar="TARGET"),
    )
    host: str = field(
        default="localhost",
        metadata=option("Address on which all ports listen. 0.0.0.0 = all interfaces, as in a container.", metavar="ADDRESS"),
    )
    port: int = field(
        default=50051,
        metadata=option("Port of the gRPC service. 0 picks a free port and logs it.", IntegerRange(0, 65535), "PORT"),
    )
    tls_cert: Path | None = field(
        default=None,
        metadata=file_option(
            "Certificate chain of --port and --http-port (PEM), which then accept TLS 1.2 and 1.3 only. Changed files are "
            "reloaded. Needs --tls-key."
        ),
    )
    tls_key: Path | None = field(default=None, metadata=file_option("Private key of --tls-cert (PEM, without a password)."))
    tls_client_ca: Path | None = field(
        default=None,
        metadata=file_option(
            "CA certificates (PEM) that issue the certificates of clients. Each client must then have one (mTLS). "
            "Needs --tls-cert."
        ),
    )
    health_port: int | None = field(
        default=None,
        metadata=option(
            "Port of grpc.health.v1 without TLS, or off. For probes that cannot use TLS, such as those of the kubelet. "
            "0 picks a free port and logs it.",
            PortOrOff(),
            show_default="off",
        ),
    )
    trust_caller_metadata: bool = field(
        default=False,
        metadata=boolean_option(
            "Identify callers by the metadata or header x-undertone-caller. Only for sidecars that receive all "
            "calls through a load balancer that overwrites it, as the chart's Envoy does. Otherwise, callers are "
            "identified by their client certificate, or by their IP address."
        ),
    )
    batch_tokens: int = field(
        default=2048,
        metadata=option(
            "Maximum tokens of a batch, padding included. Sequences with more tokens are sent alone.",
            IntegerRange(min=16),
            "TOKENS",
        ),
    )
    model_server_memory: int = field(
        default=0,
        metadata=option(
            "Memory limit of the model server, such as 3584Mi. The sidecar estimates the memory that a model needs, and "
            "refuses a model that needs more. 0 = unknown: nothing is refused.",
            Memory(),
            "BYTES",
        ),
    )
    chunk_overlap: int = field(
        default=64,
        metadata=option("Tokens that neighbouring chunks of an over-length paragraph share.", IntegerRange(min=0), "TOKENS"),
    )
    batch_lane_share: float = field(
        default=0.1,
        metadata=option(
            "Minimum share of the model server for the batch lane while this lane has requests.", NumberRange(0, 0.9), "RATIO"
        ),
    )
    max_queue_tokens: int = field(
        default=131072,
        metadata=option(
            "Maximum tokens in the queue of a lane. Further requests fail with RESOURCE_EXHAUSTED.",
            IntegerRange(min=1),
            "TOKENS",
        ),
    )
    max_queue: int = field(
        default=8192,
        metadata=option(
            "Maximum paragraphs of a lane in the sidecar. Further paragraphs fail with RESOURCE_EXHAUSTED.",
            IntegerRange(min=1),
            "PARAGRAPHS",
        ),
    )
    max_paragraph_bytes: int = field(
        default=65536, metadata=option("Maximum size of a paragraph in UTF-8.", IntegerRange(min=1), "BYTES")
    )
    max_paragraph_characters: int = field(
        default=32768, metadata=option("Maximum length of a paragraph.", IntegerRange(min=1), "CHARACTERS")
    )
    max_paragraph_chunks: int = field(
        default=32,
        metadata=option(
            "Maximum chunks of a paragraph that is longer than the model's maximum. 32 chunks of 512 tokens are "
            "about 14,000 tokens: English text within --max-paragraph-characters has less than 20 chunks. The shorter "
            "windows of CHUNK_MAX have the same limit in tokens.",
            IntegerRange(min=1),
            "CHUNKS",
        ),
    )
    max_batch_paragraphs: int = field(
        default=256, metadata=option("Maximum paragraphs in one ClassifyBatch.", IntegerRange(min=1), "PARAGRAPHS")
    )
    max_batch_bytes: int = field(
        default=1048576,
        metadata=option("Maximum size of all texts in one ClassifyBatch, in UTF-8.", IntegerRange(min=1), "BYTES"),
    )
    max_message_bytes: int = field(
        default=4194304,
        metadata=option(
            "Maximum size of a request message, or of a body over HTTP. Use at least the limit of the load balancer. "
            "Larger messages fail with "
            "RESOURCE_EXHAUSTED. Messages of valid requests are always accepted.",
            IntegerRange(1, 2147483647),
            "BYTES",
        ),
    )
    predict_timeout_seconds: float = field(
        default=30.0,
        metadata=option(
            "Maximum duration of a call to the model server. A longer call fails for its callers, and the sidecar is not "
            "ready until the call ends.",
            NumberRange(min=0.001),
            "SECONDS",
        ),
    )
    deadline_margin_seconds: float = field(
        default=0.01,
        metadata=option(
            "Time that is left for the reply: the sidecar answers a call this long before the caller's deadline.",
            NumberRange(min=0),
            "SECONDS",
        ),
    )
    poll_seconds: float = field(
        default=0.5,
        metadata=option(
            "Interval between checks of the model server for availability and new versions.",
            NumberRange(min=0.01),
            "SECONDS",
        ),
    )
    drain_serving_seconds: float = field(
        default=0.0,
        metadata=option(
            "Time for which health stays SERVING in a drain, until load balancers that find pods by DNS know other pods.",
            NumberRange(min=0),
            "SECONDS",
        ),
    )
    drain_delay_seconds: float = field(
        default=0.0,
        metadata=option(
            "Time for which a drain still accepts calls after health is NOT_SERVING, until load balancers have read it.",
            NumberRange(min=0),
            "SECONDS",
        ),
    )
    grace_period_seconds: float = field(
        default=30.0,
        metadata=option(
            "Maximum duration of a drain, both times above included. Calls in flight are then cancelled.",
            NumberRange(min=0),
            "SECONDS",
        ),
    )
    metrics_port: int | None = field(
        default=9464,
        metadata=option("HTTP port of the Prometheus metrics, or off. 0 picks a free port and logs it.", PortOrOff()),
    )
    dogstatsd: str = ""
    otlp_endpoint: str = ""
    trace_sample: float = 0.0
    log_format: str = "plain"

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise SettingsError("\n".join(problems))

    @property
    def served_name(self) -> str:
        """The model's name in the model server."""
        return self.model_name or self.model_dir.absolute().name

    def batch_limits(self, model_calls: int) -> BatchLimits:
        """Limits of the batcher with `model_calls` calls to the model server in flight."""
        return BatchLimits(
            budget=self.batch_tokens,
            slots=model_calls,
            queue_tokens=self.max_queue_tokens,
            batch_share=self.batch_lane_share,
        )

    def memory(self, model_calls: int) -> MemorySettings:
        """What determines the memory of the model server with `model_calls` calls in flight."""
        return MemorySettings(self.model_server_memory, self.batch_tokens, model_calls)

    @property
    def request_limits(self) -> RequestLimits:
        return RequestLimits(
            paragraph_bytes=self.max_paragraph_bytes,
            paragraph_characters=self.max_paragraph_characters,
            batch_paragraphs=self.max_batch_paragraphs,
            batch_bytes=self.max_batch_bytes,
            paragraph_chunks=self.max_paragraph_chunks,
            forwarded_bytes=self.max_message_bytes,
        )

    @property
    def tls_files(self) -> TlsFiles | None:
        """The files of TLS. None without TLS."""
        return TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca) if self.tls_cert and self.tls_key else None

    @property
    def telemetry(self) -> TelemetrySettings:
        """Raises TelemetryError."""
        return TelemetrySettings(
            metrics_port=self.metrics_port,
            metrics_host=self.host,
            dogstatsd=self.dogstatsd,
            otlp_endpoint=self.otlp_endpoint,
            trace_sample=self.trace_sample,
            log_format=self.log_format,
        )

    def _problems(self) -> Iterator[str]:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if (kind := setting.metadata.get("type")) and value is not None:
                try:
                    kind.convert(value, None, None)
                except click.BadParameter as error:
                    yield f"--{setting.name.replace('_', '-')}: {error.message}"
        yield from self.cache_problems()
        yield from self.http_problems()
        try:
            _ = self.telemetry
        except TelemetryError as error:
            yield from str(error).splitlines()
        if not self.model_dir.is_dir():
            yield f"--model-dir {self.model_dir} is not a folder: use the folder that contains the versions' folders"
        if not _TARGET.fullmatch(self.model_server):
            yield f"--model-server {self.model_server!r} is invalid: use host:port or unix:///path/to/socket"
        if problem := unix_address_problem(self.model_server):
            yield f"--model-server: {problem}"
        if self.port == self.metrics_port != 0:
            yield f"--port and --metrics-port are both {self.port}: use different ports"
        if self.health_port and self.health_port in {self.port, self.metrics_port}:
            yield f"--health-port {self.health_port} is also another port: use different ports"
        if self.http_port and self.http_port in {self.port, self.metrics_port, self.health_port}:
            yield f"--http-port {self.http_port} is also another port: use different ports"
        if bool(self.tls_cert) != bool(self.tls_key):
            given, missing = ("--tls-cert", "--tls-key") if self.tls_cert else ("--tls-key", "--tls-cert")
            yield f"{given} is set without {missing}: set both, or none"
        if self.tls_client_ca and not self.tls_cert:
            yield "--tls-client-ca is set without --tls-cert: set --tls-cert and --tls-key, too"
        if self.max_batch_bytes < self.max_paragraph_bytes:
            yield (
                f"--max-batch-bytes is {self.max_batch_bytes}: use at least --max-paragraph-bytes, {self.max_paragraph_bytes}"
            )
        if self.max_queue < self.max_batch_paragraphs:
            yield f"--max-queue is {self.max_queue}: use at least --max-batch-paragraphs, {self.max_batch_paragraphs}"
        if self.drain_delay_seconds > self.grace_period_seconds:
            yield (
                f"--drain-delay-seconds is {self.drain_delay_seconds}: use at most --grace-period-seconds, "
                f"{self.grace_period_seconds}, which includes it"
            )
        elif self.drain_serving_seconds + self.drain_delay_seconds > self.grace_period_seconds:
            yield (
                f"--drain-serving-seconds is {self.drain_serving_seconds} and --drain-delay-seconds "
                f"{self.drain_delay_seconds}: their sum must not exceed --grace-period-seconds, "
                f"{self.grace_period_seconds}, which includes both"
            )
