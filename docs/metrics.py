"""Writes docs/reference/metrics.md from the metric catalogues of the packages.

`python docs/metrics.py` writes the page. With --check it exits with 1 if the page is out of date.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from undertone_client.telemetry import CATALOGUE as CLIENT
from undertone_sidecar.metrics import CATALOGUE as SIDECAR
from undertone_telemetry import Metric
from undertone_telemetry.dispatch import CATALOGUE as TELEMETRY
from undertone_telemetry.jobs import CATALOGUE as JOBS
from undertone_telemetry.rpc import CLIENT_CATALOGUE, SERVER_CATALOGUE

PAGE: Final = Path(__file__).parent / "reference/metrics.md"

HEAD: Final = """\
# Metrics

The metrics of Undertone's processes. `python docs/metrics.py` generates this page from the metric
catalogues in the code. Tests compare it with the metrics of running processes.

| process | endpoint for Prometheus | metrics |
|---|---|---|
| sidecar | `--metrics-port`, 9464 by default | calls (server and client side), sidecar, telemetry |
| `undertone score`, `replay` | `--metrics-port` or `--pushgateway` (jobs) | calls (client side), client, jobs, telemetry |
| `undertone-batch` (driver) | `--metrics-port` or `--pushgateway` (jobs) | jobs, telemetry; Spark's workers use Datadog only |
| TF Serving | port 8501, `/monitoring/prometheus/metrics` | metrics of TF Serving, which the chart enables |
| Envoy | port 9902 in the chart, `/stats/prometheus` | metrics of Envoy |

The first three also export `process_*`: CPU seconds, memory, open files. Durations are in seconds,
with buckets from 1 ms to 65.5 s, each twice the previous one. Sizes are in bytes, with buckets from
256 B to 16 MiB, each four times the previous one.

**Datadog.** `--dogstatsd host:port` or `--dogstatsd unix:///path/to/socket` sends the same metrics
to an agent, without the suffix `_total`. Labels become tags, counters become counts, histograms
become distributions. A background thread sends once a second. If a histogram has more than 64
observations in that second, a random sample of about 64 is sent with its sampling rate. `DD_ENV`,
`DD_SERVICE` and `DD_VERSION` become tags of all metrics. After SIGTERM, the process sends the
remaining metrics before it exits.

**Telemetry never fails a call.** `undertone_telemetry_errors_total` counts the errors of an adapter
(a receiver of metrics, events or traces). The process logs the first error. If the Datadog agent is
absent or too slow, packets are lost, and the same metric counts them.

**Packages.** `--metrics-port` and `--pushgateway` need `pip install
'undertone-telemetry[prometheus]'`, `--dogstatsd` needs `[datadog]`, `--trace-sample` needs
`[otel]`. The images contain all of these extras. `pip install undertone` contains none.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of metrics and the text above it."""

    title: str
    text: str
    metrics: Sequence[Metric]


def _without_calls(catalogue: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics of a catalogue that do not belong to gRPC calls in general."""
    return tuple(metric for metric in catalogue if metric not in (*SERVER_CATALOGUE, *CLIENT_CATALOGUE))


SECTIONS: Final = (
    Section(
        "Calls, server side",
        "Unary calls received by the sidecar, from `undertone_telemetry.interceptors.ServerEventInterceptor`.",
        SERVER_CATALOGUE,
    ),
    Section(
        "Calls, client side",
        "Calls from the sidecar to TF Serving, and attempts of the client's calls to the service, from\n"
        "`undertone_telemetry.interceptors.ClientEventInterceptor`.",
        CLIENT_CATALOGUE,
    ),
    Section("Sidecar", "Between the client's call and the model server.", _without_calls(SIDECAR)),
    Section("Client", "Retries, limit and breaker of the client library.", _without_calls(CLIENT)),
    Section("Jobs", "`undertone score`, `undertone replay` and `undertone-batch`.", JOBS),
    Section("Telemetry", "In every process.", TELEMETRY),
)

_CODES: Final = tuple(code.name for code in grpc.StatusCode)

LABELS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "status": ("HTTP status of the answer, such as 200", ()),
    "grpc_type": ("only unary calls have metrics", ("unary",)),
    "grpc_service": (
        "service of the called method",
        (
            "undertone.v1.Classifier",
            "inference.GRPCInferenceService",
            "grpc.health.v1.Health",
            "tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService",
        ),
    ),
    "grpc_method": (
        "called method, if it exists",
        (
            *("Classify", "ClassifyBatch", "GetModel"),
            *("ModelInfer", "ModelMetadata", "ModelReady", "ServerLive", "ServerMetadata", "ServerReady"),
            *("Check", "List", "Predict", "GetModelMetadata", "GetModelStatus"),
        ),
    ),
    "grpc_code": ("status of the call", _CODES),
    "code": ("status of the paragraph or of the attempt", _CODES),
    "result": ("result of a search in the answer cache", ("hit", "miss", "error")),
    "tier": ("where the answer cache has its answers", ("memory", "redis")),
    "operation": ("command of the answer cache", ("read", "write", "connect")),
    "label": ("a label of the model", ()),
    "lane": ("priority of the call", ("online", "batch")),
    "prefetched": ("whether the batch was ready before the model server was free", ("true", "false")),
    "kind": ("whether the tokens belong to a text", ("text", "padding")),
    "reason": (
        "why a paragraph was rejected (the first four), why a sequence was not sent to the model server (the next "
        "four), or why a command of the answer cache failed",
        (
            *("queue_full", "lane_full", "caller_share", "deadline", "cancelled", "expired", "late", "pushed_out"),
            *("timeout", "connection", "refused", "paused", "full"),
        ),
    ),
    "flag": ("why the result is not reliable", ("language", "unreadable")),
    "name": ("name of the model, from its contract", ()),
    "version": ("version of the model; one at a time", ()),
    "precision": ("precision of the model", ("fp32", "bf16")),
    "state": ("state of the circuit breaker", ("closed", "open", "half_open")),
    "job": ("the value of `--job`", ()),
    "adapter": (
        "`traces` creates spans and `otlp` sends them; `measure` converts events into measurements",
        ("prometheus", "dogstatsd", "traces", "otlp", "log", "pushgateway", "measure"),
    ),
}
"""The meaning and the values of each label.

No values: they depend on the deployment and are few.
"""


def render() -> str:
    """Renders the page. Raises ValueError for a label without an entry in LABELS."""
    return "\n".join((HEAD, *map(_table, SECTIONS), _labels()))


def _table(section: Section) -> str:
    head = (f"## {section.title}", "", section.text, "", "| metric | type | labels | meaning |", "|---|---|---|---|")
    return "\n".join((*head, *map(_row, section.metrics))) + "\n"


def _row(metric: Metric) -> str:
    if unknown := [label for label in metric.labels if label not in LABELS]:
        raise ValueError(f"{metric.name} has the labels {unknown}, which are missing from LABELS in docs/metrics.py")
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"


def _labels() -> str:
    rows = (f"| `{name}` | {_values(values)} | {meaning} |" for name, (meaning, values) in LABELS.items())
    return "\n".join(("## Labels", "", "| label | values | meaning |", "|---|---|---|", *rows)) + "\n"


def _values(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values) or "depends on the deployment"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the page; returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes docs/reference/metrics.md from the metric catalogues.")
    parser.add_argument("--check", action="store_true", help="only compare; exit with 1 if the page is out of date")
    check = parser.parse_args(arguments).check
    rendered = render()
    if not check:
        PAGE.write_text(rendered, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != rendered:
        print(f"{PAGE} is out of date: run python docs/metrics.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
