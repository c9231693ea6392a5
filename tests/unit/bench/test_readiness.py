"""Waits for processes that do not start."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from undertone_bench.errors import BenchError
from undertone_bench.local_server import LocalServer
from undertone_bench.processes import child_processes, free_ports
from undertone_bench.readiness import at_most, first_line, received, wait_until_ready

IDLE = [sys.executable, "-c", "import time; time.sleep(600)"]
ENDED = [sys.executable, "-c", "raise SystemExit(3)"]


@contextmanager
def running(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "server.log"
    path.write_text("the port is in use\n")
    return path


def test_a_process_that_becomes_ready_is_waited_for(log: Path) -> None:
    answers, slept = iter((False, False, True)), list[float]()
    with running(IDLE) as process:
        wait_until_ready({"the server": process}, lambda: next(answers), log, clock=lambda: 0.0, sleep=slept.append)
    assert len(slept) == 2


def test_a_process_that_never_becomes_ready_is_an_error_with_its_log(log: Path) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with running(IDLE) as process, pytest.raises(BenchError) as failed:
        wait_until_ready({"the server": process}, lambda: False, log, seconds=7, clock=lambda: now[0], sleep=sleep)
    assert str(failed.value) == f"the server was not ready after 7 s. The end of its log, {log}:\nthe port is in use\n"
    assert 7 <= now[0] < 8


def test_a_needed_process_that_ends_is_an_error_with_its_name(log: Path) -> None:
    with running(ENDED) as model_server, running(IDLE) as sidecar:
        model_server.wait()
        with pytest.raises(BenchError, match="the model server ended at its start with exit code 3"):
            wait_until_ready({"the model server": model_server, "the sidecar": sidecar}, lambda: False, log)


def test_a_local_server_that_does_not_listen_is_an_error(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    server = LocalServer("Redis", port, IDLE, tmp_path / "redis.log")
    try:
        with pytest.raises(BenchError, match=rf"Redis was not ready after 0 s\. The end of its log, {tmp_path}/redis\.log"):
            server.start(seconds=0.0)
        assert not child_processes(os.getpid())
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("command", "error"), [(IDLE, "was not ready after 0 s"), (ENDED, "ended at its start with exit code 3")]
)
def test_a_process_without_a_first_line_is_an_error(command: list[str], error: str) -> None:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if command == ENDED:
                process.wait()
            with pytest.raises(BenchError, match=f"the fleet {error}: see its output above"):
                first_line("the fleet", process, seconds=0.0 if command == IDLE else 60.0)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("os.close(1)", "closed its output before its first line"),
        ("os.write(1, b'500')", "was not ready after 0 s"),
    ],
)
def test_a_process_that_runs_on_without_a_whole_first_line_is_an_error(program: str, error: str) -> None:
    command = [sys.executable, "-c", f"import os, time; {program}; time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert wait([process.stdout.fileno()], 60)
            with pytest.raises(BenchError, match=f"the fleet {error}: see its output above"):
                first_line("the fleet", process, seconds=0.0)
        finally:
            process.kill()


async def test_a_block_that_does_not_end_is_an_error_with_the_logs(log: Path) -> None:
    with pytest.raises(BenchError) as failed:
        async with at_most(0.0, "the start of the cluster", log.parent):
            await asyncio.Event().wait()
    assert "the start of the cluster did not end within 0 s" in str(failed.value)
    assert f"{log}:\nthe port is in use" in str(failed.value)


async def test_another_timeout_in_a_bounded_block_stays(log: Path) -> None:
    with pytest.raises(TimeoutError, match="a call"):
        async with at_most(60.0, "the start of the cluster", log.parent):
            raise TimeoutError("a call")


def test_the_first_line_has_no_line_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "print(50051)"], stdout=subprocess.PIPE, text=True) as process:
        assert first_line("the fleet", process) == "50051"


def test_a_process_that_sends_nothing_is_an_error() -> None:
    connection, remote = multiprocessing.Pipe()
    with pytest.raises(BenchError, match="the receiver did not answer within 0 s"):
        received("the receiver", connection, seconds=0.0)
    remote.send("hello")
    assert received("the receiver", connection) == "hello"
    remote.close()
    with pytest.raises(BenchError, match="the receiver ended: see its output above"):
        received("the receiver", connection)
