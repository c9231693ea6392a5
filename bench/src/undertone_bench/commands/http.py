"""CPU time of the sidecar for calls over HTTP and over gRPC, and of gRPC with the HTTP port on."""

import asyncio
import contextlib
import http.client
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import click
from undertone_protos.v1 import classifier_pb2

from undertone_bench.batch_calls import CALL_SECONDS, send_batches, send_singly
from undertone_bench.errors import BenchError
from undertone_bench.experiment import Experiment
from undertone_bench.lone_sidecar import LoneSidecar, running_sidecar
from undertone_bench.options import count_option, experiment_options, progress, reporting
from undertone_bench.processes import ProcessUsage
from undertone_bench.report import Figure, Goal, MedianRange, Report, Table

_IN_FLIGHT: Final = {1: 8, 32: 8, 256: 2}
"""Concurrent calls by paragraphs of a call. More would fill the queue of the sidecar."""

_MORE: Final = 8
"""Factor for the paragraphs in batches, because the CPU time of a process has steps of 10 ms."""

_GRPC_OFF: Final = "gRPC, HTTP port off"
_GRPC_ON: Final = "gRPC, HTTP port on"
_HTTP: Final = "HTTP"


@dataclass(frozen=True, slots=True)
class _Side:
    """A way to call a sidecar. `send` sends all paragraphs in calls of some paragraphs."""

    name: str
    sidecar: LoneSidecar
    send: Callable[[LoneSidecar, Sequence[str], int], None]


@dataclass(frozen=True, slots=True)
class _Sample:
    """CPU milliseconds of the sidecar per paragraph, in each round."""

    batch: int
    side: str
    cpu_milliseconds: list[float]


@click.command(
    "http",
    epilog="""\b
Examples:
  undertone-bench http
  undertone-bench http --rounds 9 --paragraphs 4096""",
)
@experiment_options(rounds=5)
@count_option("--paragraphs", "count", default=2048, help_text="Paragraphs of each round.", least=256)
@reporting
def http_command(experiment: Experiment, count: int) -> Report:
    """Compare the sidecar's CPU time for calls over HTTP and over gRPC.

    Two sidecars with fake model servers that answer at once: one with the HTTP port, one without.
    """
    texts = [paragraph.text for paragraph in experiment.paragraphs(count)]
    # As in the sidecar: the tokenizer's own threads would not be counted.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with (
        running_sidecar(experiment, flags=["--http-port=off"]) as off,
        running_sidecar(experiment, flags=["--http-port=0"]) as on,
    ):
        sides = [_Side(_GRPC_OFF, off, _send_grpc), _Side(_GRPC_ON, on, _send_grpc), _Side(_HTTP, on, _send_http)]
        samples = [sample for batch in _IN_FLIGHT for sample in _measure(sides, texts, batch, experiment.rounds)]
    return _report(experiment, samples)


def _measure(sides: Sequence[_Side], texts: Sequence[str], batch: int, rounds: int) -> list[_Sample]:
    if batch > 1:
        texts = [*texts] * _MORE
    samples = [_Sample(batch, side.name, []) for side in sides]
    for side in sides:
        side.send(side.sidecar, texts, batch)
    for number in range(rounds):
        # In turns, so that no side is always the first.
        for index in sorted(range(len(sides)), key=lambda index: (index + number) % len(sides)):
            side = sides[index]
            before = ProcessUsage.read(side.sidecar.pid).cpu_seconds
            side.send(side.sidecar, texts, batch)
            seconds = ProcessUsage.read(side.sidecar.pid).cpu_seconds - before
            samples[index].cpu_milliseconds.append(1e3 * seconds / len(texts))
    for sample in samples:
        progress(f"batches of {batch:3}, {sample.side}: {MedianRange.of(sample.cpu_milliseconds):.3f} ms per paragraph")
    return samples


def _send_grpc(sidecar: LoneSidecar, texts: Sequence[str], batch: int) -> None:
    if batch == 1:
        asyncio.run(send_singly(sidecar.target, texts, in_flight=_IN_FLIGHT[1]))
        return
    paragraphs = [classifier_pb2.Paragraph(text=text) for text in texts]
    asyncio.run(send_batches([sidecar.target], paragraphs, batch=batch, in_flight=_IN_FLIGHT[batch]))


def _send_http(sidecar: LoneSidecar, texts: Sequence[str], batch: int) -> None:
    starts = iter(range(0, len(texts), batch))

    def caller() -> None:
        with contextlib.closing(
            http.client.HTTPConnection("localhost", sidecar.http_port or 0, timeout=CALL_SECONDS)
        ) as connection:
            # Threads share the iterator of a range, which is safe under the interpreter's lock.
            for start in starts:
                call_http(connection, texts[start : start + batch], batch)

    with ThreadPoolExecutor(_IN_FLIGHT[batch]) as pool:
        for done in [pool.submit(caller) for _ in range(_IN_FLIGHT[batch])]:
            done.result()


def call_http(connection: http.client.HTTPConnection, texts: Sequence[str], batch: int) -> None:
    """Sends paragraphs in one call: a batch, or a single paragraph if `batch` is 1.

    Raises:
        BenchError: The call or a paragraph fails.
    """
    if batch == 1:
        path, content = "/v1/paragraphs:classify", json.dumps({"text": texts[0]})
    else:
        path, content = "/v1/paragraphs:classifyBatch", json.dumps({"paragraphs": [{"text": text} for text in texts]})
    try:
        connection.request("POST", path, content, {"content-type": "application/json"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"a call over HTTP failed: {error}") from None
    if response.status != 200 or b'"error"' in body:
        raise BenchError(f"a call over HTTP failed with status {response.status}")


def _report(experiment: Experiment, samples: Sequence[_Sample]) -> Report:
    found: Mapping[tuple[int, str], list[float]] = {(sample.batch, sample.side): sample.cpu_milliseconds for sample in samples}
    figures = []
    for batch in _IN_FLIGHT:
        name = "single paragraphs" if batch == 1 else f"batches of {batch}"
        base = found[batch, _GRPC_ON]
        figures += [
            Figure(
                f"CPU time of gRPC, {name}: HTTP port on / off",
                MedianRange.of_ratios(base, found[batch, _GRPC_OFF]),
                goal=Goal("at most", 1.05),
            ),
            Figure(f"CPU time, {name}: HTTP / gRPC", MedianRange.of_ratios(found[batch, _HTTP], base)),
        ]
    rows = tuple((f"{s.batch}", s.side, f"{MedianRange.of(s.cpu_milliseconds):.3f}") for s in samples)
    return experiment.report(
        "http",
        table=Table(("paragraphs of a call", "call", "CPU ms per paragraph"), rows),
        figures=figures,
        samples=samples,
    )
