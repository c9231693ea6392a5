"""The start of processes: each wait is bounded, and its error says what did not start and why."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from undertone_bench.errors import BenchError

START_SECONDS: Final = 300.0
"""Default of the maximum time of a start."""

_POLL_SECONDS: Final = 0.02
_LOG_CHARACTERS: Final = 2000


def wait_until_ready(
    processes: Mapping[str, "subprocess.Popen[bytes]"],
    is_ready: Callable[[], bool],
    log: Path,
    *,
    seconds: float = START_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when the last of the processes is ready.

    Args:
        processes: The process by its name in errors, after those that it needs.
        is_ready: Whether it is ready.
        log: The file with its output.
        seconds: The maximum time.
        clock: Time in seconds.
        sleep: Waits for this number of seconds.

    Raises:
        BenchError: A process ended, or the time is over. The message has the end of the log.
    """
    end = clock() + seconds
    while not is_ready():
        for name, process in processes.items():
            if process.poll() is not None:
                raise _not_started(f"{name} ended at its start with exit code {process.returncode}", log)
        if clock() >= end:
            raise _not_started(f"{[*processes][-1]} was not ready after {seconds:g} s", log)
        sleep(_POLL_SECONDS)


def first_line(name: str, process: "subprocess.Popen[str]", *, seconds: float = START_SECONDS) -> str:
    """The first line that a process prints, without its end. Its standard output must be a pipe.

    Raises:
        BenchError: The process printed no whole line in this time, closed its output, or ended.
    """
    assert process.stdout is not None
    pipe, line, end = process.stdout.fileno(), bytearray(), time.monotonic() + seconds
    while not line.endswith(b"\n"):
        if not wait([pipe], max(0.0, end - time.monotonic())):
            raise BenchError(f"{name} was not ready after {seconds:g} s: see its output above")
        # One byte, because readline() would wait without bound for the end of the line.
        if not (byte := os.read(pipe, 1)):
            break
        line += byte
    if line:
        return line.decode(errors="replace").rstrip("\n")
    try:
        code = process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise BenchError(f"{name} closed its output before its first line: see its output above") from None
    raise BenchError(f"{name} ended at its start with exit code {code}: see its output above")


def received(name: str, connection: Connection, *, seconds: float = START_SECONDS) -> Any:
    """The next object from a process.

    The other end of the connection must be open only there, so that its end is noticed.

    Raises:
        BenchError: The process sent none in this time, or ended.
    """
    try:
        if connection.poll(seconds):
            return connection.recv()
    except (EOFError, OSError):
        raise BenchError(f"{name} ended: see its output above") from None
    raise BenchError(f"{name} did not answer within {seconds:g} s: see its output above")


@contextlib.asynccontextmanager
async def at_most(seconds: float, what: str, logs: Path) -> AsyncIterator[None]:
    """Bounds the time of a block.

    Args:
        seconds: The maximum time.
        what: What the block waits for, such as "the start of the cluster".
        logs: The folder with the logs.

    Raises:
        BenchError: The time is over. The message has the end of each log.
    """
    try:
        async with asyncio.timeout(seconds) as timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        ends = "\n".join(f"{log}:\n{_end(log)}" for log in _logs(logs))
        raise BenchError(f"{what} did not end within {seconds:g} s. The ends of the logs:\n{ends}") from None


def _not_started(what: str, log: Path) -> BenchError:
    return BenchError(f"{what}. The end of its log, {log}:\n{_end(log)}")


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.log"))


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-_LOG_CHARACTERS:]
