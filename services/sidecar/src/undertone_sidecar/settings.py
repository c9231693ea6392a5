"""The sidecar's settings: one frozen object, from flags and environment, checked as a whole before anything starts."""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from undertone_telemetry.settings import TelemetryError, TelemetrySettings, help_text

from undertone_sidecar.batching import Bounds
from undertone_sidecar.cpu.settings import PASSTHROUGH, ThreadSettings
from undertone_sidecar.errors import SettingsError
from undertone_sidecar.flags import flag, read, violations
from undertone_sidecar.limits import Limits

_TARGET: Final = re.compile(r"unix:.+|.+:\d+")

_ABOUT: Final = """\
Scores the emotions of paragraphs over gRPC (undertone.v1.Classifier): tokenizes, batches and asks TF Serving, or the
undertone-dev-server, in the same pod. Says that it is ready (grpc.health.v1) once the model server has the model.

`undertone-sidecar plan` prints the thread counts that fit this machine, for both processes; `plan --help` has more.
"""

_MORE: Final = """\
Each flag can also be given in the environment: UNDERTONE_MODEL_DIR for --model-dir, and so on. A flag wins.

example:
  undertone-dev-server --model_name=emotions --model_base_path=models/emotions --port=8500
  undertone-sidecar --model-dir models/emotions --model-server localhost:8500 --port 50051
  undertone-sidecar plan --format shell
  grpcurl -plaintext -d '{"text": "At last, home!"}' localhost:50051 undertone.v1.Classifier/Classify

signals:
  SIGTERM and SIGINT drain: health says NOT_SERVING, what was accepted is finished. A second one ends at once.

exit codes:
  0  drained           2  flags or environment wrong, or        4  a port cannot be opened
                          more threads than CPUs
  1  unexpected error  3  the model's files or contract wrong   5  calls were cut off when draining
"""


def _port_or_off(text: str) -> int | None:
    try:
        return None if text == "off" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number, or off") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ThreadSettings):
    """Everything that can be set; field names are the flags' names. Times are in seconds. Raises SettingsError."""

    model_dir: Path = field(
        metadata=flag("folder of the model: a folder for each version, with contract.json and tokenizer.json")
    )
    model_name: str = field(
        default="", metadata=flag("name of the model in the model server (default: the last part of --model-dir)")
    )
    model_server: str = field(
        default="localhost:8500", metadata=flag("gRPC target of the model server: host:port, or unix:///path/to/socket")
    )
    host: str = field(
        default="localhost", metadata=flag("address to listen on; 0.0.0.0 for every interface, as in a container")
    )
    port: int = field(
        default=50051, metadata=flag("port of the gRPC service; 0 takes a free one and logs it", least=0, most=65535)
    )
    metrics_port: int | None = field(
        default=9464,
        metadata=flag(
            "HTTP port of the Prometheus metrics, or off. 0 picks a free port and logs it.", unit="N", parse=_port_or_off
        ),
    )
    dogstatsd: str = field(default="", metadata=flag(help_text("dogstatsd"), unit="ADDRESS"))
    otlp_endpoint: str = field(
        default="", metadata=flag(help_text("otlp_endpoint"), unit="URL", fallback="OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    trace_sample: float = field(default=0.0, metadata=flag(help_text("trace_sample"), unit="PART"))
    batch_tokens: int = field(
        default=2048, metadata=flag("most tokens in one call to the model server, padding included", least=16)
    )
    chunk_overlap: int = field(
        default=64, metadata=flag("tokens that neighbouring chunks of an over-length paragraph share", least=0)
    )
    batch_lane_share: float = field(
        default=0.1,
        metadata=flag(
            "least part of the model server's work that the lane batch gets while it waits", least=0.0, most=0.9, unit="PART"
        ),
    )
    max_queue_tokens: int = field(
        default=131072,
        metadata=flag("most tokens of one lane that wait for the model server; RESOURCE_EXHAUSTED beyond", least=1),
    )
    max_queue: int = field(
        default=8192,
        metadata=flag("most paragraphs of one lane in the sidecar at once; RESOURCE_EXHAUSTED beyond", least=1),
    )
    max_paragraph_bytes: int = field(default=65536, metadata=flag("most bytes of one paragraph, in UTF-8", least=1))
    max_paragraph_characters: int = field(default=32768, metadata=flag("most characters of one paragraph", least=1))
    max_batch_paragraphs: int = field(default=256, metadata=flag("most paragraphs in one ClassifyBatch", least=1))
    max_batch_bytes: int = field(
        default=1048576, metadata=flag("most bytes of all texts in one ClassifyBatch, in UTF-8", least=1)
    )
    predict_timeout_seconds: float = field(
        default=30.0, metadata=flag("longest call to the model server; a caller's deadline shortens it", least=0.001)
    )
    deadline_margin_seconds: float = field(
        default=0.01, metadata=flag("how much earlier than its callers' a model call's deadline is", least=0.0)
    )
    poll_seconds: float = field(
        default=0.5, metadata=flag("time between looks at the model server for loss, return and new versions", least=0.01)
    )
    drain_delay_seconds: float = field(
        default=0.0, metadata=flag("how long to go on accepting while the balancer reads NOT_SERVING", least=0.0)
    )
    grace_period_seconds: float = field(
        default=30.0, metadata=flag("longest drain, delay included; what still runs then is cut off", least=0.0)
    )
    log_format: str = field(default="plain", metadata=flag(help_text("log_format")))

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise SettingsError("\n".join(problems))

    @classmethod
    def parse(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> Self:
        """From the command line, without the program's name. Raises SettingsError; exits on --help and unknown flags."""
        return cls(**read(cls, arguments, environment, program="undertone-sidecar", about=_ABOUT, more=_MORE))

    @property
    def served_name(self) -> str:
        """The model's name in the model server."""
        return self.model_name or self.model_dir.absolute().name

    def bounds(self, calls: int) -> Bounds:
        """With so many calls to the model server at once."""
        batches = Bounds.passthrough if self.batching == PASSTHROUGH else Bounds.token_budget
        return batches(self.batch_tokens, calls=calls, waiting=self.max_queue_tokens, batch_share=self.batch_lane_share)

    @property
    def limits(self) -> Limits:
        return Limits(
            paragraph_bytes=self.max_paragraph_bytes,
            paragraph_characters=self.max_paragraph_characters,
            batch_paragraphs=self.max_batch_paragraphs,
            batch_bytes=self.max_batch_bytes,
        )

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
        yield from violations(self)
        try:
            _ = self.telemetry
        except TelemetryError as error:
            yield from str(error).splitlines()
        if not self.model_dir.is_dir():
            yield f"--model-dir is {self.model_dir}, which is not a folder; give the folder that holds the versions' folders"
        if not _TARGET.fullmatch(self.model_server):
            yield f"--model-server is {self.model_server!r}; write host:port or unix:///path/to/socket"
        if self.port == self.metrics_port != 0:
            yield f"--port and --metrics-port are both {self.port}; give them different ports"
        if self.max_batch_bytes < self.max_paragraph_bytes:
            yield (
                f"--max-batch-bytes is {self.max_batch_bytes}; a paragraph of --max-paragraph-bytes, "
                f"{self.max_paragraph_bytes}, must fit in"
            )
        if self.max_queue < self.max_batch_paragraphs:
            yield (
                f"--max-queue is {self.max_queue}; a batch of --max-batch-paragraphs, {self.max_batch_paragraphs}, must fit in"
            )
        if self.drain_delay_seconds > self.grace_period_seconds:
            yield (
                f"--drain-delay-seconds is {self.drain_delay_seconds}; it is a part of --grace-period-seconds, "
                f"{self.grace_period_seconds}, and cannot be longer"
            )
