"""A soak test: many paragraphs through services that fail, with a check of every score."""

import asyncio
import contextlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
import pyarrow as pa
import pyarrow.parquet as pq
from undertone_client import Client, Failure, Paragraph, Settings
from undertone_client.testing import EMOTIONS, expected_probabilities
from undertone_planner.fleet.faults import FaultRates
from undertone_telemetry.options import refuse_unused

from undertone_bench.errors import BenchError
from undertone_bench.options import FiniteRange, finish, output_option, seconds_option
from undertone_bench.report import Report, Table
from undertone_bench.simulated_fleet import FleetProcess

TOLERANCE: Final = 1e-6
"""Allowed difference of a probability; probabilities are sent in single precision."""

RUN_SECONDS: Final = 3600.0
"""Default time limit of one run of `undertone score`."""

_WORDS: Final = ("rain", "on", "the", "harbour", "she", "laughed", "a", "letter", "came", "too", "late", "again", "he", "wept")
_TIMEOUT_SECONDS: Final = 10.0
_DOWN_SECONDS: Final = 1.0
"""Time from the kill of a service to its restart."""


@dataclass(slots=True)
class SoakResult:
    """Numbers of paragraphs, of kills, and the resources of the scoring process.

    `lost` paragraphs have no outcome, `duplicates` more than one, and `wrong` ones a wrong score.
    `failed` ones have a failure instead of a score. `score_kills` counts kills of
    `undertone score`, `planned_score_kills` those that the test asked for. `exit_code` is that of
    its last run.
    """

    paragraphs: int
    scored: int = 0
    duplicates: int = 0
    wrong: int = 0
    failed: int = 0
    lost: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_megabytes: float = 0.0
    service_kills: int = 0
    score_kills: int = 0
    planned_score_kills: int = 0
    exit_code: int = 0

    @property
    def passed(self) -> bool:
        """Every paragraph was scored once and correctly, and the kills happened as planned."""
        defects = self.duplicates or self.wrong or self.failed or self.lost or self.exit_code
        return not defects and self.score_kills == self.planned_score_kills


@click.command(
    epilog="""\b
Examples:
  undertone-bench soak
  undertone-bench soak --paragraphs 100000 --through client
  undertone-bench soak --paragraphs 20000 --restart 5 --faults 0.1"""
)
@click.option(
    "--paragraphs",
    "count",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(1, 10_000_000),
    help="Number of paragraphs.",
)
@click.option(
    "--through",
    default="score",
    show_default=True,
    type=click.Choice(["score", "client"]),
    help="`undertone score` over a JSONL file, killed once and started again; or Client.score in this process.",
)
@click.option("--faults", default=0.05, show_default=True, type=FiniteRange(0, 1), help="Share of calls that fail.")
@seconds_option("--restart", 20.0, "Time between kills of a service. 0 disables them.", FiniteRange(0))
@click.option(
    "--kill-at",
    default=0.4,
    show_default=True,
    metavar="SHARE",
    type=FiniteRange(0, 1),
    help="Share of scored paragraphs at which `undertone score` is killed. 0 disables the kill.",
)
@seconds_option("--time-limit", RUN_SECONDS, "Maximum time of one run.")
@output_option
def soak(count: int, through: str, faults: float, restart: float, kill_at: float, time_limit: float, output: Path) -> None:
    """Score many paragraphs while services fail, and check every score.

    Two simulated fleets fail random calls and are killed (SIGKILL) in turn. Exit code 1 if a
    paragraph is lost, duplicated, wrong or failed, or if `undertone score` was not killed as
    planned or failed.
    """
    if through == "client":
        reason = "is for a run of undertone score: omit it, or --through client"
        refuse_unused(reason, "kill_at", "time_limit")
    with services(faults, restart) as (target, kills), tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        if through == "client":
            result = asyncio.run(through_client(target, count))
            usage = resource.getrusage(resource.RUSAGE_SELF)
            result.peak_megabytes, result.cpu_seconds = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
        else:
            result = through_score(target, count, Path(folder), kill_at, time_limit=time_limit)
        result.seconds = time.monotonic() - started
        result.service_kills = len(kills)
    rows = tuple((name.replace("_", " "), f"{value:,.0f}") for name, value in asdict(result).items())
    finish(Report.new("soak", f"through-{through}", table=Table(("", "number"), rows), samples=[result]), output)
    if not result.passed:
        raise BenchError("the soak test failed: see lost, duplicates, wrong, failed, score kills and exit code above")


def text(number: int) -> str:
    """The paragraph with this number: 5 to 40 words and the number."""
    words = 5 + number * 7919 % 36
    return " ".join(_WORDS[(number * 31 + index * index) % len(_WORDS)] for index in range(words)) + f" {number}"


def is_correct(number: int, probabilities: Sequence[float]) -> bool:
    """Whether these are the scores of the paragraph with this number."""
    expected = expected_probabilities(text(number))
    return all(abs(one - other) <= TOLERANCE for one, other in zip(probabilities, expected, strict=True))


class _Checker:
    """Records the outcome of each paragraph, with one byte per paragraph."""

    def __init__(self, paragraphs: int) -> None:
        self._seen = bytearray(paragraphs)
        self._result = SoakResult(paragraphs)

    def add_score(self, number: int, probabilities: Sequence[float]) -> None:
        self._add(number)
        self._result.scored += 1
        self._result.wrong += not is_correct(number, probabilities)

    def add_failure(self, number: int) -> None:
        self._add(number)
        self._result.failed += 1

    def result(self) -> SoakResult:
        """The result after all outcomes were added."""
        self._result.lost = self._seen.count(0)
        return self._result

    def _add(self, number: int) -> None:
        self._result.duplicates += self._seen[number]
        self._seen[number] = 1


def _fleet(seed: int, faults: float) -> FleetProcess:
    # Most faults are refusals. A lost call costs its caller a whole deadline, so it is rare.
    rates = FaultRates(
        unavailable=0.4 * faults,
        reset=0.2 * faults,
        cancelled=0.1 * faults,
        exhausted=0.14 * faults,
        refused_items=0.14 * faults,
        lost=0.02 * faults,
    )
    flags = [f"--{fault.replace('_', '-')}={share}" for fault, share in asdict(rates).items()]
    return FleetProcess([f"--seed={seed}", *flags])


@contextlib.contextmanager
def services(faults: float, restart_seconds: float) -> Iterator[tuple[str, list[int]]]:
    """The target of two services that are killed in turn, and the list of the kills so far."""
    fleets = [_fleet(seed, faults) for seed in range(2)]
    kills: list[int] = []
    stopping = threading.Event()

    def kill_in_turn() -> None:
        for fleet in itertools.cycle(fleets):
            if stopping.wait(restart_seconds):
                return
            fleet.kill()
            kills.append(fleet.port)
            stopping.wait(_DOWN_SECONDS)
            fleet.start()

    thread = threading.Thread(target=kill_in_turn)
    if restart_seconds > 0:
        thread.start()
    try:
        yield "ipv4:" + ",".join(fleet.target for fleet in fleets), kills
    finally:
        stopping.set()
        if restart_seconds > 0:
            thread.join()
        for fleet in fleets:
            fleet.kill()


async def through_client(target: str, paragraphs: int) -> SoakResult:
    """Score all paragraphs with `Client.score` in this process."""
    checker = _Checker(paragraphs)
    source = (Paragraph(text(number), str(number)) for number in range(paragraphs))
    async with Client(target, settings=Settings(timeout_seconds=_TIMEOUT_SECONDS)) as client:
        async for outcome in client.score(source, ordered=False):
            number = int(outcome.paragraph.id)
            if isinstance(outcome, Failure):
                checker.add_failure(number)
            else:
                checker.add_score(number, outcome.probabilities)
    return checker.result()


def run_program(
    program: Sequence[str],
    environment: dict[str, str],
    time_limit: float,
    *,
    kill_when: Callable[[], bool] = lambda: False,
) -> tuple[int, resource.struct_rusage]:
    """Run a program until it ends, or until `kill_when()` holds: then it gets SIGKILL.

    Returns its exit code and resource usage. Raises BenchError if it runs longer than
    `time_limit` seconds; it is killed then.
    """
    process = subprocess.Popen(program, env=environment)
    deadline, expired = time.monotonic() + time_limit, False
    while True:
        # os.wait4 returns the resource usage of the process. Popen.wait would lose it.
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            if expired:
                raise BenchError(f"undertone score did not end within {time_limit:g} s: increase --time-limit")
            return process.returncode, usage
        expired = expired or time.monotonic() > deadline
        if expired or kill_when():
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)


def through_score(target: str, paragraphs: int, folder: Path, kill_at: float, *, time_limit: float = RUN_SECONDS) -> SoakResult:
    """Score all paragraphs with `undertone score`.

    Kills the command once when a share of `kill_at` is scored, and runs it again; 0 disables the
    kill. Raises BenchError if a run takes longer than `time_limit` seconds.
    """
    source, out = folder / "paragraphs.jsonl", folder / "out"
    with source.open("w") as lines:
        for number in range(paragraphs):
            lines.write(json.dumps({"key": str(number), "text": text(number)}) + "\n")
    rows_per_part = max(1, min(10_000, paragraphs // 20))
    options = {"out": out, "id-column": "key", "timeout": _TIMEOUT_SECONDS, "rows-per-part": rows_per_part, "checkpoint": 2}
    flags = [f"--{option}={value}" for option, value in options.items()]
    program = [sys.executable, "-m", "undertone_cli", "score", str(source), "--quiet", "--min-characters=0", *flags]
    environment = os.environ | {"UNDERTONE_TARGET": target}

    def share_is_scored() -> bool:
        if kill_at <= 0:
            return False
        rows = 0
        for part in out.glob("part-*.parquet"):
            with contextlib.suppress(OSError, pa.ArrowException):  # the part is being replaced
                rows += pq.read_metadata(part).num_rows
        return rows >= kill_at * paragraphs

    code, usage = run_program(program, environment, time_limit, kill_when=share_is_scored)
    peak, cpu_seconds, kills = usage.ru_maxrss, usage.ru_utime + usage.ru_stime, 0
    if code == -signal.SIGKILL:
        kills = 1
        code, usage = run_program(program, environment, time_limit)
        peak, cpu_seconds = max(peak, usage.ru_maxrss), cpu_seconds + usage.ru_utime + usage.ru_stime
    result = _check_output(out, paragraphs)
    result.peak_megabytes, result.cpu_seconds = peak / 1024, cpu_seconds
    result.score_kills, result.planned_score_kills, result.exit_code = kills, int(kill_at > 0), code
    return result


def _check_output(out: Path, paragraphs: int) -> SoakResult:
    checker = _Checker(paragraphs)
    for part in sorted(out.glob("part-*.parquet")):
        table = pq.read_table(part, columns=["id", *EMOTIONS])
        columns = [table.column(emotion).to_pylist() for emotion in EMOTIONS]
        for identifier, *probabilities in zip(table.column("id").to_pylist(), *columns, strict=True):
            checker.add_score(int(identifier), probabilities)
    with (out / "_failures.jsonl").open() as failures:
        for failure in failures:
            checker.add_failure(int(json.loads(failure)["id"]))
    return checker.result()
