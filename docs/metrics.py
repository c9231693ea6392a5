"""Writes docs/reference/metrics.md: what is measured, from the catalogues that the code measures by.

`python docs/metrics.py` writes; with --check it only compares, and ends with 1 where the page is out of date.
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
from undertone_telemetry.calls import CLIENT_CATALOGUE, SERVER_CATALOGUE
from undertone_telemetry.fanout import CATALOGUE as TELEMETRY
from undertone_telemetry.jobs import CATALOGUE as JOBS
from undertone_telemetry.metric import Metric

PAGE: Final = Path(__file__).parent / "reference/metrics.md"

HEAD: Final = """\
# Metrics

What Undertone measures of itself. This page is made from the code's own catalogues by `python docs/metrics.py`; the tests hold
it against what real processes expose.

| process | where Prometheus reads | what is there |
|---|---|---|
| sidecar | `--metrics-port`, 9464 | calls of both sides, the sidecar, telemetry itself |
| `undertone score`, `replay` | `--metrics-port`; for the job also `--pushgateway` | calls, the client, jobs, telemetry itself |
| `undertone-batch`, the driver | the same | jobs, telemetry itself; its workers' clients tell DataDog only |
| TF Serving | 8501, `/monitoring/prometheus/metrics` | its own metrics, which the chart switches on |
| Envoy | its metrics port, `/stats/prometheus` | its own metrics |

Each process of ours adds `process_*` (CPU seconds, memory, open files). Durations are in seconds, with buckets from 1 ms to
65.5 s, each twice the one before; sizes are in bytes, with buckets from 256 B to 16 MiB, each four times the one before.

**DataDog.** `--dogstatsd host:port`, or `--dogstatsd unix:///path/to/socket`, sends the same metrics to an agent. Names are
those below without `_total`; labels become tags, counters counts, gauges gauges, histograms distributions. Packets are filled
and sent by threads of their own, once a second, with every gauge. Of more than 64 observations of a histogram in that second,
about 64 are drawn, and sent with their rate. `DD_ENV`, `DD_SERVICE` and `DD_VERSION` are tags of everything.
What was counted when SIGTERM came is sent before the process ends.

**Nothing of this costs an answer.** An adapter that fails is counted in `undertone_telemetry_errors_total`, and the log says
once why; an agent that is away or does not read costs packets, which are counted there, too.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of metrics, and what is said above it."""

    title: str
    text: str
    metrics: Sequence[Metric]


def _own(catalogue: Iterable[Metric]) -> tuple[Metric, ...]:
    """Those that are not every caller's or every server's."""
    shared = (*SERVER_CATALOGUE, *CLIENT_CATALOGUE)
    return tuple(metric for metric in catalogue if metric not in shared)


SECTIONS: Final = (
    Section(
        "Calls, server's side",
        "Of the sidecar's callers, by the wrapper around its handlers, `undertone_telemetry.server.ServerObserver`. Streams\n"
        "are left out.",
        SERVER_CATALOGUE,
    ),
    Section(
        "Calls, client's side",
        "By the interceptor on the channel, `undertone_telemetry.client.ClientObserver`: from the sidecar to TF Serving, and\n"
        "from the client to the service, where each attempt counts by itself.",
        CLIENT_CATALOGUE,
    ),
    Section("Sidecar", "What happens between a caller and the model server.", _own(SIDECAR)),
    Section("Client", "What the client library does about calls that fail.", _own(CLIENT)),
    Section("Jobs", "`undertone score`, `undertone replay` and `undertone-batch`.", JOBS),
    Section("Telemetry itself", "In every process.", TELEMETRY),
)

_CODES: Final = tuple(code.name for code in grpc.StatusCode)

LABELS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "grpc_type": ("streams are not observed", ("unary",)),
    "grpc_service": (
        "",
        (
            "undertone.v1.Classifier",
            "grpc.health.v1.Health",
            "tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService",
        ),
    ),
    "grpc_method": (
        "methods that exist only",
        ("Classify", "ClassifyBatch", "GetModel", "Check", "List", "Predict", "GetModelMetadata", "GetModelStatus"),
    ),
    "grpc_code": ("of the call", _CODES),
    "code": ("of the paragraph, or of the attempt", _CODES),
    "lane": ("who waits for the answer", ("online", "batch")),
    "prefetched": ("", ("true", "false")),
    "kind": ("", ("text", "padding")),
    "reason": ("why it was refused, or left the queue", ("queue_full", "deadline", "cancelled", "expired")),
    "name": ("the model's, from its contract", ()),
    "version": ("the model's; one at a time", ()),
    "precision": ("the model's", ("fp32", "bf16")),
    "state": ("", ("closed", "open", "half_open")),
    "job": ("as `--job` names it", ()),
    "adapter": (
        "`traces` makes spans and `otlp` sends them; `measure` is what events are measured by",
        ("prometheus", "dogstatsd", "traces", "otlp", "log", "pushgateway", "measure"),
    ),
}
"""What each label is, and its values: none where they are a deployment's own, of which there are few."""


def render() -> str:
    """The page. Raises ValueError for a label that is not explained."""
    return "\n".join((HEAD, *map(_table, SECTIONS), _labels()))


def _table(section: Section) -> str:
    head = (f"## {section.title}", "", section.text, "", "| metric | type | labels | what |", "|---|---|---|---|")
    return "\n".join((*head, *map(_row, section.metrics))) + "\n"


def _row(metric: Metric) -> str:
    if unknown := [label for label in metric.labels if label not in LABELS]:
        raise ValueError(f"{metric.name} has the labels {unknown}, which docs/metrics.py does not explain; add them to LABELS")
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"


def _labels() -> str:
    rows = (f"| `{name}` | {_values(values)} | {what} |" for name, (what, values) in LABELS.items())
    return "\n".join(("## Labels", "", "| label | values | what |", "|---|---|---|", *rows)) + "\n"


def _values(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values) or "the deployment's"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes docs/reference/metrics.md from the catalogues of metrics.")
    parser.add_argument("--check", action="store_true", help="compare only; exit code 1 where it is out of date")
    check = parser.parse_args(arguments).check
    rendered = render()
    if not check:
        PAGE.write_text(rendered, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != rendered:
        print(f"{PAGE} is out of date; run python docs/metrics.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
