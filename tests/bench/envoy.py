"""What Envoy costs: the same calls to one sidecar, directly and through the chart's Envoy.

Both ways in turn, round after round, the first of a round alternating: the throughput of a client that scores paragraphs as
fast as they are answered, and the latency of single calls, one by one. Prints medians over the rounds, with the spread.

    .venv/bin/python -m tests.bench.envoy build/models/emotions model/data/demo/*.txt
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from undertone_client import Client

from tests.bench.serving import end_to_end, process, serving
from tests.chart.rendering import Chart, find_helm
from tests.integration.envoy.balancer import LOOPBACK, EnvoyLauncher, free_ports

DIRECT: Final = "direct"
ENVOY: Final = "through Envoy"


async def latency(target: str, text: str, calls: int) -> float:
    """Median of the seconds that one call takes."""
    seconds = []
    async with Client(target) as client:
        await client.classify(text)  # which connects
        for _ in range(calls):
            started = time.perf_counter()
            await client.classify(text)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


async def measure(targets: dict[str, str], paragraphs: Sequence[str], rounds: int, calls: int) -> None:
    shortest = min(paragraphs, key=len)
    throughputs: dict[str, list[float]] = {name: [] for name in targets}
    latencies: dict[str, list[float]] = {name: [] for name in targets}
    for target in targets.values():
        await end_to_end(target, paragraphs)  # new shapes are slow
    for number in range(rounds):
        for name in sorted(targets, reverse=bool(number % 2)):
            throughputs[name].append(len(paragraphs) / await end_to_end(targets[name], paragraphs))
            latencies[name].append(1000 * await latency(targets[name], shortest, calls))
            print(f"round {number + 1}: {name}: {throughputs[name][-1]:.1f}/s, p50 {latencies[name][-1]:.2f} ms", flush=True)
    for name in targets:
        print(f"{name:14} {_spread(throughputs[name], '.1f')} paragraphs/s, p50 {_spread(latencies[name], '.2f')} ms")
    shares = [one / other for one, other in zip(throughputs[ENVOY], throughputs[DIRECT], strict=True)]
    added = [one - other for one, other in zip(latencies[ENVOY], latencies[DIRECT], strict=True)]
    print(f"with Envoy     {_spread(shares, '.3f')} of the throughput, p50 {_spread(added, '+.2f')} ms")


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def run(model: Path, paragraphs: Sequence[str], rounds: int, calls: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket, (port, metrics) = folder / "model.sock", free_ports(2)
        serve = (f"--model_name={model.name}", f"--model_base_path={model}", f"--grpc_socket_path={socket}", "--port=0")
        sidecar = (f"--model-dir={model}", f"--model-server=unix://{socket}", f"--port={port}", f"--metrics-port={metrics}")
        chart = Chart(find_helm(folder / "helm"), folder)
        with (
            process("undertone-model-server", *serve),
            process("undertone-sidecar", *sidecar, f"--host={LOOPBACK}"),
            EnvoyLauncher(chart) as launch,
        ):
            asyncio.run(serving(f"{LOOPBACK}:{port}"))
            envoy = launch.envoy([port])
            envoy.until_used([port])
            asyncio.run(measure({DIRECT: f"{LOOPBACK}:{port}", ENVOY: envoy.target}, paragraphs, rounds, calls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model's folder, which holds its version folders")
    parser.add_argument("texts", type=Path, nargs="+", help="text files, paragraphs separated by blank lines")
    parser.add_argument("--repeat", type=int, default=4, help="how many times over the texts are one run (default: 4)")
    parser.add_argument("--rounds", type=int, default=6, help="rounds that are measured (default: 6)")
    parser.add_argument("--calls", type=int, default=200, help="single calls of a round (default: 200)")
    given = parser.parse_args()
    texts = "\n\n".join(path.read_text(encoding="utf-8") for path in given.texts)
    paragraphs = [paragraph for paragraph in texts.split("\n\n") if paragraph.strip()] * given.repeat
    run(given.model.resolve(), paragraphs, given.rounds, given.calls)


if __name__ == "__main__":
    main()
