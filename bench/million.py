"""A million paragraphs through services that fail: none lost, none scored twice, none wrong, and how much memory that takes.

Two fake fleets serve, each a process behind a real socket. By chance they spoil one call in twenty (refusals, lost answers,
calls that are never answered, paragraphs that are told to come back), and one after the other they are killed with -9 and
started again. What comes out is compared with what the texts' scores are, computed here.

    .venv/bin/python -m bench.million --paragraphs 1000000 --through score
    .venv/bin/python -m bench.million --paragraphs 100000 --through client

`--through score` runs `undertone score` over a JSONL file, kills it with -9 on the way, runs it again, and reads the table.
`--through client` asks `Client.score` in one process. Ends with exit code 1 if anything is lost, double, wrong or unscored, or
if `undertone score` was not killed though it should have been, or ended with another exit code than 0.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from undertone_bench.simulation.faults import FaultRates
from undertone_client import Client, Failure, Paragraph, Settings
from undertone_client.testing import EMOTIONS, expected_probabilities

from tests.simulation.support.answers import TOLERANCE

WORDS: Final = ("rain", "on", "the", "harbour", "she", "laughed", "a", "letter", "came", "too", "late", "again", "he", "wept")
TIMEOUT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 3600.0
PAUSE_SECONDS: Final = 1.0
"""How long a service that was killed stays away."""


def text(number: int) -> str:
    """The paragraph of that number: five to forty words, and the number."""
    words = 5 + number * 7919 % 36
    return " ".join(WORDS[(number * 31 + place * place) % len(WORDS)] for place in range(words)) + f" {number}"


def right(number: int, probabilities: Sequence[float]) -> bool:
    """Whether these are the scores of that paragraph."""
    expected = expected_probabilities(text(number))
    return all(abs(one - other) <= TOLERANCE for one, other in zip(probabilities, expected, strict=True))


@dataclass(slots=True)
class Verdict:
    """What became of the paragraphs, in numbers of them, and what it took.

    `driver_kills` is how often `undertone score` was killed on the way, `kills_asked` how often it should have been, and
    `exit_code` that of its last run.
    """

    paragraphs: int
    scored: int = 0
    double: int = 0
    wrong: int = 0
    unscored: int = 0
    lost: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_megabytes: float = 0.0
    kills: int = 0
    driver_kills: int = 0
    kills_asked: int = 0
    exit_code: int = 0

    @property
    def sound(self) -> bool:
        amiss = self.double or self.wrong or self.unscored or self.lost or self.exit_code
        return not amiss and self.driver_kills == self.kills_asked


class Ledger:
    """Notes each paragraph once; a byte for each."""

    def __init__(self, paragraphs: int) -> None:
        self._seen = bytearray(paragraphs)
        self.verdict = Verdict(paragraphs)

    def scored(self, number: int, probabilities: Sequence[float]) -> None:
        self._note(number)
        self.verdict.scored += 1
        self.verdict.wrong += not right(number, probabilities)

    def unscored(self, number: int) -> None:
        self._note(number)
        self.verdict.unscored += 1

    def close(self) -> Verdict:
        """The verdict, once everything has been noted."""
        self.verdict.lost = self._seen.count(0)
        return self.verdict

    def _note(self, number: int) -> None:
        self.verdict.double += self._seen[number]
        self._seen[number] = 1


class Service:
    """A fleet in a process, on a port that it keeps."""

    def __init__(self, seed: int, faults: float) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # Most faults are refusals; one call in a thousand or so is never answered, and costs its caller a whole deadline.
        shares = FaultRates(
            unavailable=0.4 * faults,
            reset=0.2 * faults,
            cancelled=0.1 * faults,
            exhausted=0.14 * faults,
            refused_items=0.14 * faults,
            lost=0.02 * faults,
        )
        flags = [f"--{fault.replace('_', '-')}={share}" for fault, share in asdict(shares).items()]
        self._command = [
            sys.executable,
            "-m",
            "undertone_bench.simulation.server",
            f"--port={self.port}",
            f"--seed={seed}",
            *flags,
        ]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def kill(self) -> None:
        """As a crash."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def services(faults: float, restart_seconds: float) -> Iterator[tuple[str, list[int]]]:
    """The target of two services that are killed in turn, and a list that has an entry for each kill."""
    pair = [Service(seed, faults) for seed in range(2)]
    kills: list[int] = []
    over = threading.Event()

    def trouble() -> None:
        for service in itertools.cycle(pair):
            if over.wait(restart_seconds):
                return
            service.kill()
            kills.append(service.port)
            over.wait(PAUSE_SECONDS)
            service.start()

    thread = threading.Thread(target=trouble)
    if restart_seconds > 0:
        thread.start()
    try:
        yield "ipv4:" + ",".join(f"127.0.0.1:{service.port}" for service in pair), kills
    finally:
        over.set()
        if restart_seconds > 0:
            thread.join()
        for service in pair:
            service.kill()


async def through_client(target: str, paragraphs: int) -> Verdict:
    """Every paragraph through `Client.score`, in this process."""
    ledger = Ledger(paragraphs)
    source = (Paragraph(text(number), str(number)) for number in range(paragraphs))
    async with Client(target, settings=Settings(timeout_seconds=TIMEOUT_SECONDS)) as client:
        async for outcome in client.score(source, ordered=False):
            number = int(outcome.paragraph.id)
            if isinstance(outcome, Failure):
                ledger.unscored(number)
            else:
                ledger.scored(number, outcome.probabilities)
    return ledger.close()


def drive(
    program: Sequence[str],
    environment: dict[str, str],
    patience_seconds: float,
    *,
    until: Callable[[], bool] = lambda: False,
) -> tuple[int, resource.struct_rusage]:
    """Run a program to its end, or until `until()` holds and it is killed with -9: its exit code and what it took.

    Raises:
        TimeoutError: it was not over after `patience_seconds`; it has been killed.
    """
    process = subprocess.Popen(program, env=environment)
    give_up, late = time.monotonic() + patience_seconds, False
    while True:
        # Not subprocess's own wait: it would reap the process without saying how much memory it had.
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            if late:
                raise TimeoutError(f"undertone score was not over after {patience_seconds:g} s; give it more with --patience")
            return process.returncode, usage
        late = late or time.monotonic() > give_up
        if late or until():
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)


def through_score(
    target: str, paragraphs: int, folder: Path, kill_share: float, *, patience_seconds: float = PATIENCE_SECONDS
) -> Verdict:
    """Every paragraph through `undertone score`, killed once when that share of the table is there, and run again; 0 is never.

    Raises:
        TimeoutError: one of its runs was not over after `patience_seconds`.
    """
    source, out = folder / "paragraphs.jsonl", folder / "out"
    with source.open("w") as lines:
        for number in range(paragraphs):
            lines.write(json.dumps({"key": str(number), "text": text(number)}) + "\n")
    rows_per_part = max(1, min(10_000, paragraphs // 20))
    options = {"out": out, "id-column": "key", "timeout": TIMEOUT_SECONDS, "rows-per-part": rows_per_part, "checkpoint": 2}
    flags = [f"--{option}={value}" for option, value in options.items()]
    program = [sys.executable, "-m", "undertone_cli", "score", str(source), "--quiet", *flags]
    environment = os.environ | {"UNDERTONE_TARGET": target}

    def far_enough() -> bool:
        if kill_share <= 0:
            return False
        rows = 0
        for part in (out / "scores").glob("part-*.parquet"):
            with contextlib.suppress(OSError, pa.ArrowException):  # it is being replaced
                rows += pq.read_metadata(part).num_rows
        return rows >= kill_share * paragraphs

    code, usage = drive(program, environment, patience_seconds, until=far_enough)
    peak, cpu, kills = usage.ru_maxrss, usage.ru_utime + usage.ru_stime, 0
    if code == -signal.SIGKILL:
        kills = 1
        code, usage = drive(program, environment, patience_seconds)
        peak, cpu = max(peak, usage.ru_maxrss), cpu + usage.ru_utime + usage.ru_stime
    ledger = Ledger(paragraphs)
    for part in sorted((out / "scores").glob("part-*.parquet")):
        table = pq.read_table(part, columns=["id", *EMOTIONS])
        columns = [table.column(emotion).to_pylist() for emotion in EMOTIONS]
        for ident, *probabilities in zip(table.column("id").to_pylist(), *columns, strict=True):
            ledger.scored(int(ident), probabilities)
    with (out / "failures.jsonl").open() as letters:
        for letter in letters:
            ledger.unscored(int(json.loads(letter)["id"]))
    verdict = ledger.close()
    verdict.peak_megabytes, verdict.cpu_seconds = peak / 1024, cpu
    verdict.driver_kills, verdict.kills_asked, verdict.exit_code = kills, int(kill_share > 0), code
    return verdict


def main() -> None:
    """Run, compare, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paragraphs", type=int, default=1_000_000, help="how many, 1 to 10,000,000 (default 1,000,000)")
    parser.add_argument("--through", choices=("client", "score"), default="score", help="what is asked (default score)")
    parser.add_argument("--faults", type=float, default=0.05, metavar="SHARE", help="calls that are spoiled (default 0.05)")
    parser.add_argument("--restart", type=float, default=20.0, metavar="SECONDS", help="between kills of a service; 0 is never")
    parser.add_argument(
        "--kill-at", type=float, default=0.4, metavar="SHARE", help="when `undertone score` is killed (0.4); 0 is never"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help="for one run of `undertone score` (default %(default)g)",
    )
    given = parser.parse_args()
    if not 1 <= given.paragraphs <= 10_000_000:
        parser.error(f"--paragraphs is {given.paragraphs}; give 1 to 10,000,000")
    with services(given.faults, given.restart) as (target, kills), tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        if given.through == "client":
            verdict = asyncio.run(through_client(target, given.paragraphs))
            usage = resource.getrusage(resource.RUSAGE_SELF)
            verdict.peak_megabytes, verdict.cpu_seconds = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
        else:
            try:
                verdict = through_score(target, given.paragraphs, Path(folder), given.kill_at, patience_seconds=given.patience)
            except TimeoutError as error:
                sys.exit(str(error))
        verdict.seconds = time.monotonic() - began
        verdict.kills = len(kills)
    print(json.dumps({name: round(value, 1) for name, value in asdict(verdict).items()}))
    sys.exit(0 if verdict.sound else 1)


if __name__ == "__main__":
    main()
