"""Time, memory and size of the table of the Spark job: a backfill and daily runs."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from undertone_bench.errors import BenchError
from undertone_bench.options import FiniteRange, count_option, progress, reporting
from undertone_bench.process_tree import TreeUsage
from undertone_bench.readiness import first_line
from undertone_bench.report import Report, Table

JARS: Final = Path("build/iceberg")
SOURCE_FILES: Final = 16
_WORDS: Final = 5_000
_PHRASES: Final = 20_000
_PHRASE_WORDS: Final = 12
_PHRASES_PER_TEXT: Final = 5


@dataclass(frozen=True, slots=True)
class TableRun:
    """One run of the job, and the table after it.

    Attributes:
        name: What the run does.
        seconds: From the start of the process to its end, with the start of Spark.
        cpu_seconds: CPU time of all processes of the run.
    java_bytes: Peak resident memory of the driver's JVM, which is also the executor.
        total_bytes: Peak resident memory of all processes of the run.
        scored: The paragraphs with a new score.
        disk_bytes: Everything in the table's folder: all snapshots and metadata.
        files: Number of files in the folder.
    """

    name: str
    seconds: float
    cpu_seconds: float
    java_bytes: int
    total_bytes: int
    scored: int
    disk_bytes: int
    files: int


@click.command(
    epilog="""\b
Examples:
  undertone-bench table
  undertone-bench table --rows 100000 --changed-share 0.05"""
)
@count_option("--rows", default=1_000_000, help_text="Number of paragraphs.", least=1000)
@click.option(
    "--changed-share",
    default=0.01,
    show_default=True,
    type=FiniteRange(0, 1, min_open=True),
    help="Share of the paragraphs whose texts change before the daily run.",
)
@click.option(
    "--job-option", "job_options", multiple=True, metavar="FLAG", help="A flag for `undertone-batch run`; repeatable."
)
@reporting
def table(rows: int, changed_share: float, job_options: Sequence[str]) -> Report:
    """Measure the Spark job's table: a backfill, a daily run with changes, and one without.

    The scorer makes no calls: Spark computes scores from hashes, so that the time is that of the
    source, the comparison and the table. Spark runs on all cores of this machine, with its default
    memory.
    """
    with tempfile.TemporaryDirectory(prefix="undertone-table-") as name:
        folder = Path(name)
        write_source(folder / "before", rows)
        write_source(folder / "after", rows, every=round(1 / changed_share))
        place = (f"--warehouse={folder / 'lake'}", "--table=bench.scores", *job_options)
        runs = list(measure(folder, folder / "lake", place))
    header = ("run", "scored", "s", "CPU s", "JVM MB", "all MB", "table MB", "files")
    cells = tuple(
        (
            run.name,
            f"{run.scored}",
            f"{run.seconds:.1f}",
            f"{run.cpu_seconds:.0f}",
            f"{run.java_bytes / 1e6:.0f}",
            f"{run.total_bytes / 1e6:.0f}",
            f"{run.disk_bytes / 1e6:.1f}",
            f"{run.files}",
        )
        for run in runs
    )
    return Report.new("table", f"{rows}-rows", table=Table(header, cells), samples=map(asdict, runs))


def measure(folder: Path, table_folder: Path, place: Sequence[str]) -> Iterator[TableRun]:
    """Runs the job three times. `place` are the options that name the table."""
    with fake_service() as target:
        runs = {
            "backfill": ("backfill", "before"),
            "daily, with changes": ("daily", "after"),
            "daily, without changes": ("daily", "after"),
        }
        for name, (mode, source) in runs.items():
            arguments = (f"--mode={mode}", f"--source={folder / source}", f"--target={target}", *place)
            run = _run(name, table_folder, arguments)
            progress(f"{run}")
            yield run


def _run(name: str, table_folder: Path, arguments: Sequence[str]) -> TableRun:
    from undertone_batch.session import LOCAL_MASTER, LOCAL_SETTINGS  # imports Spark

    program = [sys.executable, "-m", "undertone_bench.table_run", "run", *arguments]
    jars = ",".join(str(jar.absolute()) for jar in sorted(JARS.glob("*.jar")))
    if not jars:
        raise BenchError(f"{JARS} has no jars of Iceberg: run .ci/iceberg from the repository's root")
    local = "".join(f"--conf {name}={value} " for name, value in LOCAL_SETTINGS.items())
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"--master {LOCAL_MASTER} --jars {jars} {local} pyspark-shell"}
    started = time.perf_counter()
    with (
        subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment) as process,
        TreeUsage(process.pid) as usage,
    ):
        _, log = process.communicate()
        seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise BenchError(f"undertone-batch ended with exit code {process.returncode}:\n{log}")
    sizes = [file.stat().st_size for file in table_folder.rglob("*") if file.is_file()]
    scored = sum(int(count) for count in re.findall(r": (\d+) scored, \d+ failed", log))
    return TableRun(
        name, seconds, usage.cpu_seconds, usage.peak_bytes["java"], usage.total_peak_bytes, scored, sum(sizes), len(sizes)
    )


@contextlib.contextmanager
def fake_service() -> Iterator[str]:
    """The address of a service that answers which model it serves. Raises BenchError."""
    program = [sys.executable, "-m", "undertone_client.testing", "--port=0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            yield f"127.0.0.1:{first_line('the fake service', process)}"
        finally:
            process.terminate()


def write_source(folder: Path, rows: int, *, every: int = 0) -> None:
    """Writes paragraphs of 60 words to Parquet files. The same arguments give the same texts.

    Args:
        folder: The new folder.
        rows: The number of paragraphs.
        every: The text of each `every`-th paragraph differs; 0 for none.
    """
    random = np.random.default_rng(7)
    lengths = random.integers(2, 9, _WORDS)
    words = ["".join(map(chr, random.integers(97, 123, length))) for length in lengths]
    phrases = pa.array([" ".join(words[word] for word in random.integers(0, _WORDS, _PHRASE_WORDS)) for _ in range(_PHRASES)])
    folder.mkdir()
    for number, part in enumerate(np.array_split(np.arange(rows), SOURCE_FILES)):
        chosen = [phrases.take(random.integers(0, _PHRASES, len(part))) for _ in range(_PHRASES_PER_TEXT)]
        digits = pa.array([f"{index:08d}" for index in part])
        endings = pa.array([" changed" if every and index % every == 0 else "" for index in part])
        texts = pc.binary_join_element_wise(digits, *chosen, endings, " ")
        ids = pc.binary_join_element_wise("post", digits, "-")
        pq.write_table(pa.table({"id": ids, "text": texts}), folder / f"part-{number:02d}.parquet")
