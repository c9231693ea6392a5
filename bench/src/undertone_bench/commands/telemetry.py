"""Cost of telemetry: two sidecars on one model server, with all adapters on and all off."""

import asyncio
import multiprocessing
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import click
from undertone_client import Client

from undertone_bench.errors import BenchError
from undertone_bench.load_generator import closed_loop
from undertone_bench.models import BenchModel
from undertone_bench.options import (
    demo_texts_option,
    model_option,
    progress,
    read_texts,
    repeat_option,
    reporting,
    rounds_option,
)
from undertone_bench.pods import ClassifyClient, Pod, running_pod
from undertone_bench.processes import CpuMeter, free_ports, stop
from undertone_bench.readiness import received, wait_until_ready
from undertone_bench.report import Figure, MedianRange, Report, Table
from undertone_bench.variants import raise_on_failure
from undertone_bench.workload import Paragraph

ON: Final = "on"
OFF: Final = "off"

_RECEIVER: Final = "the receiver of telemetry"
_CONCURRENCY: Final = 32
"""Single calls in flight."""


@dataclass(frozen=True, slots=True)
class _Target:
    """A sidecar's address, and the processes whose CPU time counts."""

    target: str
    pids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Run:
    """Paragraphs per second, and CPU milliseconds per paragraph of sidecar and receivers."""

    rate: float
    cpu_milliseconds: float


@click.command(
    epilog="""\b
Examples:
  undertone-bench telemetry
  undertone-bench telemetry --rounds 20 --repeat 2"""
)
@model_option
@demo_texts_option
@repeat_option(1)
@rounds_option(10)
@reporting
def telemetry(model: str, texts: Sequence[Path], repeat: int, rounds: int) -> Report:
    """Compare a sidecar with all telemetry on and one with all telemetry off.

    On: Prometheus, scraped once per second; DogStatsD to a Unix socket; 1 % of traces to an
    OpenTelemetry collector; JSON logs. The receivers run on the same CPUs and count as cost.
    """
    paragraphs = read_texts(texts, repeat)
    served = BenchModel.find(model)
    with (
        tempfile.TemporaryDirectory(prefix="undertone-") as folder,
        _pod_with_telemetry(served, folder) as (on, pod),
        _sidecar_without_telemetry(pod, served, Path(folder, "plain.log")) as off,
    ):
        runs = asyncio.run(_measure({ON: on, OFF: off}, paragraphs, rounds))
    return _report(served.label, runs)


def _receive(folder: str, parent: Connection) -> None:
    """Receive telemetry until a message arrives. Runs in a process of its own."""
    from undertone_telemetry.testing import unix_agent
    from undertone_telemetry.testing.otlp import trace_collector

    with unix_agent(Path(folder)) as agent, trace_collector() as collector:
        parent.send((agent.address, collector.endpoint))
        metrics_url = parent.recv()
        scraped = packets = 0
        while not parent.poll(1.0):
            with urllib.request.urlopen(metrics_url, timeout=30) as page:  # noqa: S310 - the URL is a loopback address
                scraped += len(page.read())
            packets += len(agent.packets())
        parent.send(f"{scraped:,} bytes scraped, {packets:,} packets of DogStatsD, {len(collector.spans):,} spans")


@contextmanager
def _pod_with_telemetry(model: BenchModel, folder: str) -> Iterator[tuple[_Target, Pod]]:
    """A pod with every adapter on, and a process that receives its telemetry."""
    context = multiprocessing.get_context("spawn")
    connection, remote = context.Pipe()
    receiver = context.Process(target=_receive, args=(folder, remote))
    receiver.start()
    remote.close()
    try:
        agent, collector = received(_RECEIVER, connection)
        flags = (f"--dogstatsd={agent}", f"--otlp-endpoint={collector}", "--trace-sample=0.01", "--log-format=json")
        with running_pod(model, flags) as pod:
            connection.send(pod.metrics_url)
            yield _Target(pod.target, {"sidecar": pod.pids["sidecar"], "receiver": receiver.pid or 0}), pod
            connection.send(None)
            progress(f"received: {received(_RECEIVER, connection)}")
    finally:
        receiver.terminate()
        receiver.join()


@contextmanager
def _sidecar_without_telemetry(pod: Pod, model: BenchModel, log: Path) -> Iterator[_Target]:
    """A second sidecar on the pod's model server, with every adapter off."""
    (port,) = free_ports(1)
    flags = (f"--model-dir={model.base}", f"--model-server={pod.model_server}", f"--port={port}", "--metrics-port=off")
    program = Path(sys.executable).with_name("undertone-sidecar")
    with log.open("wb") as output:
        process = subprocess.Popen([program, *flags], stdout=output, stderr=output)
    try:
        wait_until_ready({"the sidecar without telemetry": process}, lambda: b" ready " in log.read_bytes(), log)
        yield _Target(f"localhost:{port}", {"sidecar": process.pid})
    finally:
        stop(process)


async def _score(target: str, texts: Sequence[str]) -> None:
    async with Client(target) as client:
        async for outcome in client.score(texts):
            raise_on_failure(outcome)


async def _single_calls(target: str, texts: Sequence[str]) -> None:
    client = ClassifyClient(target)
    results = await closed_loop(client, [Paragraph(text, 0) for text in texts], _CONCURRENCY)
    await client.close()
    if failed := sum(not result.ok for result in results):
        raise BenchError(f"{failed} calls failed")


_LOADS: Final[Mapping[str, Callable[[str, Sequence[str]], Awaitable[None]]]] = {
    "score": _score,
    "single calls": _single_calls,
}


async def _run(side: _Target, load: str, texts: Sequence[str]) -> _Run:
    meter = CpuMeter(side.pids)
    started = time.perf_counter()
    await _LOADS[load](side.target, texts)
    seconds = time.perf_counter() - started
    return _Run(len(texts) / seconds, 1000 * sum(meter.read().values()) / len(texts))


async def _measure(sides: Mapping[str, _Target], texts: Sequence[str], rounds: int) -> dict[tuple[str, str], list[_Run]]:
    """Runs by load and side."""
    for side in sides.values():
        for load in _LOADS:
            await _run(side, load, texts)  # first calls at each shape are slow
    runs: dict[tuple[str, str], list[_Run]] = {(load, name): [] for load in _LOADS for name in sides}
    for load in _LOADS:
        for number in range(rounds):
            for name in sorted(sides, reverse=bool(number % 2)):
                runs[load, name].append(await _run(sides[name], load, texts))
            on, off = runs[load, ON][-1].rate, runs[load, OFF][-1].rate
            progress(f"{load}, round {number + 1} of {rounds}: on {on:.1f}/s, off {off:.1f}/s, ratio {on / off:.3f}")
    return runs


def _report(subject: str, runs: Mapping[tuple[str, str], Sequence[_Run]]) -> Report:
    def rates(load: str, side: str) -> list[float]:
        return [run.rate for run in runs[load, side]]

    rows = (
        (load, side, f"{MedianRange.of(rates(load, side)):.1f}", f"{MedianRange.of(r.cpu_milliseconds for r in found):.3f}")
        for (load, side), found in runs.items()
    )
    return Report.new(
        "telemetry",
        subject,
        table=Table(("load", "telemetry", "paragraphs/s", "CPU ms per paragraph"), tuple(rows)),
        figures=tuple(
            Figure(f"throughput of {load}: on / off", MedianRange.of_ratios(rates(load, ON), rates(load, OFF)), ".3f")
            for load in _LOADS
        ),
        samples=(
            {"load": load, "telemetry": side, "runs": [asdict(run) for run in found]} for (load, side), found in runs.items()
        ),
    )
