"""The command as a process: interrupted, fed through pipes, without a service."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from undertone_client.testing import FakeClassifier, ItemFault

from tests.unit.support.command import Command, Table, piped, read_table

PARAGRAPHS = 60


@pytest.fixture(scope="module")
def novel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "novel.txt"
    path.write_text("\n\n".join(f"Paragraph {'long ' * (index % 9)}number {index}." for index in range(PARAGRAPHS)))
    return path


@pytest.fixture(scope="module")
def uninterrupted(novel: Path, target: str, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The table of an uninterrupted run."""
    out = tmp_path_factory.mktemp("uninterrupted")
    command = [sys.executable, "-m", "undertone_cli", *map(str, score(novel, out)), "--target", target]
    subprocess.run(command, check=True, capture_output=True)
    return read_table(out)


async def start(service: FakeClassifier, *arguments: object, stdin: int | None = None) -> asyncio.subprocess.Process:
    command = [sys.executable, "-W", "error", "-m", "undertone_cli", *map(str, arguments)]
    environment = os.environ | {"UNDERTONE_TARGET": service.target}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, env=environment, stdin=stdin, stdout=pipe, stderr=pipe)


async def end(process: asyncio.subprocess.Process, stdin: bytes | None = None) -> tuple[int, str]:
    out, errors = await process.communicate(stdin)
    assert process.returncode is not None
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode, out.decode() + errors.decode()


def score(path: Path | str, out: Path) -> tuple[object, ...]:
    return ("score", path, "--out", out, "--batch-items", 4, "--limit", 2, "--rows-per-part", 10, "--checkpoint", 0.1)


async def start_and_stop(service: FakeClassifier, novel: Path, out: Path, how: signal.Signals) -> tuple[int, str]:
    """Start a run, answer some calls, stop it with calls in flight, and clear the call log."""
    process = await start(service, *score(novel, out))
    # Calls are sorted by length, but each has the oldest paragraph: ten calls complete part 0.
    await service.until_called(14)
    service.gate.clear()
    while not (out / "part-00000.parquet").exists():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    process.send_signal(how)
    outcome = await end(process)
    service.gate.set()
    service.calls.clear()
    return outcome


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        (signal.SIGKILL, -9, ""),
        (signal.SIGINT, 130, "run the same command again to continue"),
        (signal.SIGTERM, 143, "run the same command again to continue"),
    ],
)
async def test_stopped_run_continues(
    service: FakeClassifier, novel: Path, uninterrupted: Table, tmp_path: Path, how: signal.Signals, code: int, words: str
) -> None:
    interrupted = tmp_path / "interrupted"
    returned, output = await start_and_stop(service, novel, interrupted, how)
    assert (returned, words in output) == (code, True)
    kept = {row["id"] for rows in read_table(interrupted).values() for row in rows}
    assert kept
    assert json.loads((interrupted / "_run.json").read_text())["complete"] is False

    assert (await end(await start(service, *score(novel, interrupted))))[0] == 0
    sent = [ident for call in service.calls for ident in call.ids]
    assert len(sent) == len(set(sent)) == PARAGRAPHS - len(kept)
    assert kept.isdisjoint(sent)

    assert read_table(interrupted) == uninterrupted
    assert sum(map(len, uninterrupted.values())) == PARAGRAPHS


async def test_standard_input_is_scored_before_its_end(service: FakeClassifier, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = await start(service, *score("-", out), stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"First.\n\nSecond.\n\n")
    await service.until_called(3)  # GetModel twice, then a paragraph, while the pipe stays open
    assert (await end(process, b"Third."))[0] == 0
    assert [row["id"] for row in read_table(out)["part-00000.parquet"]] == ["stdin/0000", "stdin/0001", "stdin/0002"]


def test_ids_of_standard_input_are_checked(command: Command, tmp_path: Path) -> None:
    rows = b'{"key": 1, "text": "one"}\n{"key": 2, "text": "two"}\n'

    def run(content: bytes) -> tuple[int, str]:
        with piped(content):
            result = command(*score("-", tmp_path / "out"), "--format", "jsonl", "--id-column", "key")
        return result.exit_code, result.output

    code, output = run(rows + b'{"key": 1, "text": "x"}\n')
    assert code == 2
    assert "duplicate id 1: standard input, line 1, and standard input, line 3" in output
    assert run(rows)[0] == 0
    assert [row["id"] for row in read_table(tmp_path / "out")["part-00000.parquet"]] == [1, 2]
    code, output = run(rows.replace(b"two", b"zwei"))
    assert (code, "2 was scored with another text" in output) == (2, True)


async def test_ctrl_c_while_waiting_for_standard_input(service: FakeClassifier, tmp_path: Path) -> None:
    process = await start(service, *score("-", tmp_path / "out"), stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"First.\n\nSecond")
    await service.until_called(3)
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 130
    process.stdin.close()


async def test_lost_service_is_exit_code_3(service: FakeClassifier, novel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    service.gate.clear()
    process = await start(service, *score(novel, out), "--attempts", 2, "--patience", 0)
    await service.until_in_flight(2)
    await service.stop()
    code, output = await end(process)
    assert code == 3
    assert f"{service.target} does not answer" in output
    assert f"The scores so far are saved in {out}; run the same command again to continue." in output
    service.gate.set()
    async with service:
        assert (await end(await start(service, *score(novel, out))))[0] == 0
    assert sum(map(len, read_table(out).values())) == PARAGRAPHS


async def until_waiting(process: asyncio.subprocess.Process, service: FakeClassifier) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while f"waiting for the service at {service.target}: " not in (await process.stderr.readline()).decode():
            assert process.returncode is None


async def test_run_waits_for_a_service_that_starts_later(service: FakeClassifier, novel: Path, tmp_path: Path) -> None:
    await service.stop()
    process = await start(service, *score(novel, tmp_path / "out"))
    await until_waiting(process, service)
    async with service:
        code, output = await end(process)
    assert (code, f"scored  {PARAGRAPHS}" in output) == (0, True), output


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signal_ends_the_wait_for_a_service(
    service: FakeClassifier, novel: Path, tmp_path: Path, how: signal.Signals, code: int
) -> None:
    await service.stop()
    process = await start(service, *score(novel, tmp_path / "out"))
    await until_waiting(process, service)
    process.send_signal(how)
    assert (await end(process))[0] == code
    assert not (tmp_path / "out").exists()


async def test_run_waits_for_an_overloaded_service(service: FakeClassifier, novel: Path, tmp_path: Path) -> None:
    service.item_faults = {
        f"Paragraph {'long ' * (index % 9)}number {index}.": ItemFault(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full", times=2, pushback_ms=1
        )
        for index in range(0, PARAGRAPHS, 7)
    }
    code, output = await end(await start(service, *score(novel, tmp_path / "out")))
    assert (code, f"scored  {PARAGRAPHS}" in output) == (0, True)
