"""CPU time and memory of the sidecar, with a fake model server that answers at once."""

import asyncio
import hashlib
import os
import pstats
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from undertone_protos.v1.classifier_pb2 import Paragraph
from undertone_sidecar.tokenizer import Tokenizer

from undertone_bench.batch_calls import batch_call_options, send_batches
from undertone_bench.experiment import Experiment
from undertone_bench.lone_sidecar import running_sidecar
from undertone_bench.models import BenchModel
from undertone_bench.options import count_option, experiment_options, progress, reporting
from undertone_bench.processes import ProcessUsage
from undertone_bench.report import Figure, Goal, MedianRange, Plot, Report, Series, Table

_DISTINCT_PARAGRAPHS: Final = 4096
_WARM_UP_PARAGRAPHS: Final = 8192
_STEPS: Final = 10


@dataclass(frozen=True, slots=True)
class _Step:
    """Usage of the sidecar over `count` paragraphs with `tokens` tokens.

    `total` is the number of paragraphs so far. `tokenizing_seconds` is the CPU time of the
    tokenizer alone per paragraph. `resident_bytes` is at the end of the step.
    """

    total: int
    cpu_seconds: float
    count: int
    tokens: int
    tokenizing_seconds: float
    resident_bytes: int

    @property
    def cpu_milliseconds(self) -> float:
        """CPU milliseconds per paragraph."""
        return self.cpu_seconds / self.count * 1e3


@click.command(
    epilog="""\b
Examples:
  undertone-bench sidecar
  undertone-bench sidecar --paragraphs 200000
  undertone-bench sidecar --profile build/sidecar.prof"""
)
@experiment_options(rounds=None)
@count_option("--paragraphs", "count", default=40960, help_text="Number of paragraphs.", least=4096)
@batch_call_options
@click.option(
    "--profile", type=click.Path(path_type=Path), help="File for a profile of the event loop. Profiling costs CPU time."
)
@reporting
def sidecar(experiment: Experiment, count: int, batch: int, in_flight: int, profile: Path | None) -> Report:
    """Measure CPU time and memory of the sidecar with a fake model server that answers at once."""
    texts = [paragraph.text for paragraph in experiment.paragraphs(_DISTINCT_PARAGRAPHS)]
    # As in the sidecar: the tokenizer's own threads would not be counted.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    steps = []
    module = ("undertone_bench.profiled_sidecar", str(profile)) if profile else ("undertone_sidecar",)
    with running_sidecar(experiment, module) as running:
        pid = running.pid

        def send(total: int) -> int:
            paragraphs = [Paragraph(text=texts[number % len(texts)], id=str(number)) for number in range(total)]
            return asyncio.run(send_batches([running.target], paragraphs, batch=batch, in_flight=in_flight))

        send(_WARM_UP_PARAGRAPHS)
        size = max(_DISTINCT_PARAGRAPHS, count // _STEPS)
        for total in range(size, count + 1, size):
            before = ProcessUsage.read(pid)
            tokens = send(size)
            after = ProcessUsage.read(pid)
            tokenizing = _tokenizing_seconds(experiment.model, texts[:1024], batch)
            cpu_seconds = after.cpu_seconds - before.cpu_seconds
            step = _Step(total, cpu_seconds, size, tokens, tokenizing, after.resident_bytes)
            steps.append(step)
            progress(f"{total:8} paragraphs: {step.cpu_milliseconds:.3f} ms each, {step.resident_bytes / 1e6:.1f} MB")
    if profile:
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(35)
    return _report(experiment, steps, batch)


def _tokenizing_seconds(model: BenchModel, texts: Sequence[str], batch: int) -> float:
    """CPU seconds per paragraph of the sidecar's tokenizer, with all words in its cache."""
    path = model.folder / "tokenizer.json"
    with ThreadPoolExecutor(1) as pool:
        tokenizer = Tokenizer.read(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), executor=pool)

        async def tokenize() -> float:
            loop = asyncio.get_running_loop()
            await tokenizer.encode(texts)
            before = await loop.run_in_executor(pool, time.thread_time)
            for start in range(0, len(texts), batch):
                await tokenizer.encode(texts[start : start + batch])
            return await loop.run_in_executor(pool, time.thread_time) - before

        return asyncio.run(tokenize()) / len(texts)


def _report(experiment: Experiment, steps: Sequence[_Step], batch: int) -> Report:
    growth = steps[-1].resident_bytes - steps[len(steps) // 2].resident_bytes
    resident = tuple(step.resident_bytes / 1e6 for step in steps)
    figures = [
        Figure(
            f"CPU ms per paragraph, batches of {batch}",
            MedianRange.of(step.cpu_milliseconds for step in steps),
            ".3f",
            Goal("at most", 0.4),
        ),
        Figure("tokenizing, ms per paragraph", MedianRange.of(step.tokenizing_seconds * 1e3 for step in steps), ".3f"),
        Figure("CPU µs per token", MedianRange.of(step.cpu_seconds / step.tokens * 1e6 for step in steps), ".2f"),
        Figure("resident memory, MB", MedianRange.of(resident), ".1f"),
        Figure("growth of resident memory in the second half, MB", MedianRange.of([growth / 1e6]), ".1f"),
    ]
    rows = tuple(
        (
            f"{step.total}",
            f"{step.cpu_milliseconds:.3f}",
            f"{step.tokenizing_seconds * 1e3:.3f}",
            f"{step.resident_bytes / 1e6:.1f}",
        )
        for step in steps
    )
    return experiment.report(
        "sidecar",
        table=Table(("paragraphs", "CPU ms per paragraph", "tokenizing, ms", "resident MB"), rows),
        figures=figures,
        plot=Plot(
            "Resident memory of the sidecar",
            "paragraphs",
            "MB",
            (Series("resident", tuple(float(step.total) for step in steps), resident),),
        ),
        samples=steps,
    )
