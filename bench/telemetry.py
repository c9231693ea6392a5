"""What being watched costs: two sidecars before one model server, one with every adapter on, one with all of them off.

On means: Prometheus, scraped every second; DogStatsD, to a Unix socket that is read; one trace in a hundred, to a collector of
OpenTelemetry; lines of log in JSON. Whoever reads all this is a process of its own, on the same CPUs, and counts as cost.

Both in turn, round after round, the first of a round alternating: the throughput of a client that scores paragraphs as fast as
they are answered, and that of single calls, some at once. Prints each round's ratio, and their median with the spread.

    .venv/bin/python -m bench.telemetry build/models/emotions model/data/demo/*.txt
"""

import argparse
import asyncio
import multiprocessing
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from undertone_bench.drive import closed_loop
from undertone_bench.paragraphs import Paragraph
from undertone_bench.pods import Caller, Pod, running
from undertone_bench.served import ServedModel
from undertone_bench.spread import Spread
from undertone_bench.usage import CpuMeter
from undertone_client import Client, Failure
from undertone_telemetry.testing import unix_agent
from undertone_telemetry.testing.otlp import trace_collector

ON: Final = "on"
OFF: Final = "off"
TOGETHER: Final = 32
"""Single calls at once."""


@dataclass(frozen=True, slots=True)
class Side:
    """A sidecar: its gRPC address, and its process with those that watch it."""

    target: str
    pids: Mapping[str, int]


def watch(folder: str, parent: Connection) -> None:
    """Reads what the sidecar tells: says where, is told the address of its metrics, and ends when it is told so."""
    with unix_agent(Path(folder)) as agent, trace_collector() as collector:
        parent.send((agent.address, collector.endpoint))
        metrics = parent.recv()
        scraped = packets = 0
        while not parent.poll(1.0):
            with urllib.request.urlopen(metrics, timeout=30) as page:  # noqa: S310 - an address of our own
                scraped += len(page.read())
            packets += len(agent.packets())
        parent.send(f"{scraped:,} bytes scraped, {packets:,} packets of DogStatsD, {len(collector.spans):,} spans")


@contextmanager
def watched(model: ServedModel, folder: str) -> Iterator[tuple[Side, Pod]]:
    """A pod with every adapter on, and its watcher. Prints at the end what that has read."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    watcher = multiprocessing.get_context("spawn").Process(target=watch, args=(folder, theirs))
    watcher.start()
    try:
        agent, collector = ours.recv()
        flags = (f"--dogstatsd={agent}", f"--otlp-endpoint={collector}", "--trace-sample=0.01", "--log-format=json")
        with running(model, flags) as pod:
            ours.send(pod.metrics)
            yield Side(pod.target, {"sidecar": pod.pids["sidecar"], "watcher": watcher.pid or 0}), pod
            ours.send(None)
            print(ours.recv())
    finally:
        watcher.terminate()
        watcher.join()


@contextmanager
def unwatched(pod: Pod, model: ServedModel, log: Path) -> Iterator[Side]:
    """A second sidecar before the pod's model server, with all adapters off."""
    port = _free_port()
    flags = (f"--model-dir={model.base}", f"--model-server={pod.model_server}", f"--port={port}", "--metrics-port=off")
    program = Path(sys.executable).with_name("undertone-sidecar")
    with log.open("wb") as output:
        process = subprocess.Popen([program, *flags], stdout=output, stderr=output)
    try:
        while b" ready " not in log.read_bytes():
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield Side(f"localhost:{port}", {"sidecar": process.pid})
    finally:
        process.terminate()
        process.wait()


async def scored(target: str, texts: Sequence[str]) -> None:
    """By the client, as fast as it can."""
    async with Client(target) as client:
        async for outcome in client.score(texts):
            if isinstance(outcome, Failure):
                raise SystemExit(f"a paragraph failed: {outcome.status}")


async def called(target: str, texts: Sequence[str]) -> None:
    """One paragraph a call, TOGETHER of them at once."""
    caller = Caller(target)
    answers = await closed_loop(caller, [Paragraph(text, 0) for text in texts], TOGETHER)
    await caller.close()
    if failed := sum(not answer.ok for answer in answers):
        raise SystemExit(f"{failed} calls failed")


LOADS: Final[Mapping[str, Callable[[str, Sequence[str]], Awaitable[None]]]] = {"score": scored, "single calls": called}


@dataclass(frozen=True, slots=True)
class Measured:
    """Paragraphs a second, and CPU milliseconds of the sidecar and its watchers for each."""

    rate: float
    cpu: float


async def measured(side: Side, load: str, texts: Sequence[str]) -> Measured:
    meter = CpuMeter(side.pids)
    started = time.perf_counter()
    await LOADS[load](side.target, texts)
    seconds = time.perf_counter() - started
    return Measured(len(texts) / seconds, 1000 * sum(meter.read().values()) / len(texts))


async def compare(sides: Mapping[str, Side], texts: Sequence[str], rounds: int) -> None:
    for side in sides.values():
        for load in LOADS:
            await measured(side, load, texts)  # new shapes are slow
    for load in LOADS:
        found: dict[str, list[Measured]] = {name: [] for name in sides}
        for number in range(rounds):
            for name in sorted(sides, reverse=bool(number % 2)):
                found[name].append(await measured(sides[name], load, texts))
            on, off = found[ON][-1], found[OFF][-1]
            print(f"{load}, round {number + 1}: on {on.rate:.1f}/s, off {off.rate:.1f}/s, {on.rate / off.rate:.3f}", flush=True)
        for name, all_of in found.items():
            cpu = Spread.of(one.cpu for one in all_of)
            print(f"{load}, {name}: {Spread.of(one.rate for one in all_of):.1f} paragraphs/s, {cpu:.3f} ms of CPU for each")
        ratio = Spread.of_ratios([one.rate for one in found[ON]], [one.rate for one in found[OFF]])
        print(f"{load}: with everything on, {ratio:.3f} of the throughput")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return int(one.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model's folder, which holds its version folders")
    parser.add_argument("texts", type=Path, nargs="+", help="text files, paragraphs separated by blank lines")
    parser.add_argument("--repeat", type=int, default=1, help="how many times over the texts are one run (default: 1)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds that are measured (default: 10)")
    given = parser.parse_args()
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    texts = "\n\n".join(path.read_text(encoding="utf-8") for path in given.texts)
    paragraphs = [paragraph for paragraph in texts.split("\n\n") if paragraph.strip()] * given.repeat
    model = ServedModel.read(given.model.resolve())
    with (
        tempfile.TemporaryDirectory(prefix="undertone-") as folder,
        watched(model, folder) as (on, pod),
        unwatched(pod, model, Path(folder, "unwatched.log")) as off,
    ):
        asyncio.run(compare({ON: on, OFF: off}, paragraphs, given.rounds))


if __name__ == "__main__":
    main()
