"""What Envoy costs: the same calls to one sidecar, directly and through the chart's Envoy.

Both ways in turn, round after round, the first of a round alternating: the throughput of a client that scores paragraphs as
fast as they are answered, and the latency of single calls, one by one. Prints medians over the rounds, with the spread.

    .venv/bin/python -m bench.envoy build/models/emotions model/data/demo/*.txt
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from undertone_bench.chart import Chart, find_helm
from undertone_bench.pods import running
from undertone_bench.served import ServedModel
from undertone_client import Client, Failure

from tests.integration.support.envoy import LOOPBACK, EnvoyLauncher

DIRECT: Final = "direct"
ENVOY: Final = "through Envoy"


async def end_to_end(target: str, paragraphs: Sequence[str]) -> float:
    """Seconds to score all paragraphs through the service at `target`."""
    async with Client(target) as client:
        started = time.perf_counter()
        async for outcome in client.score(paragraphs):
            if isinstance(outcome, Failure):
                raise SystemExit(f"a paragraph failed: {outcome.status}")
        return time.perf_counter() - started


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
        chart = Chart(find_helm(folder / "helm"), folder, Path("deploy/helm/undertone").resolve())
        with running(ServedModel.read(model), [f"--host={LOOPBACK}"]) as pod, EnvoyLauncher(chart) as launch:
            port = int(pod.target.rsplit(":", 1)[1])
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
