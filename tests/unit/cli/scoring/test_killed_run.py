"""Runs and replays that SIGKILL ends at random times."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import undertone
from undertone_client.testing import FakeClassifier, ItemFault

from tests.unit.support.command import read_failures, read_manifest, read_table

PARAGRAPHS = 240
KILLS = 3
OPTIONS = ("--rows-per-part", "20", "--batch-items", "4", "--limit", "2", "--attempts", "1", "--quiet")
BUSY = ("--checkpoint", "0")
"""Saves after each answer, so that most kills happen during a write."""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Some texts are duplicates, some are rejected, and some are null."""
    path = tmp_path / "rows.jsonl"
    texts = [None if index % 97 == 5 else f"Text {index % 180} {'long ' * (index % 9)}" for index in range(PARAGRAPHS)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def saved_ids(out: Path) -> set[str]:
    return {row["id"] for rows in read_table(out).values() for row in rows}


def run(service: FakeClassifier, *arguments: object) -> int:
    """Run the command in this process; its exit code."""
    line = [str(argument) for argument in arguments]
    return CliRunner().invoke(undertone, line, env={"UNDERTONE_TARGET": service.target}).exit_code


def killed(service: FakeClassifier, after_calls: int, *arguments: object) -> bool:
    """Run the command as a process and kill it after `after_calls` calls. False if it had ended."""
    service.calls.clear()
    command = [sys.executable, "-m", "undertone_cli", *map(str, arguments)]
    with subprocess.Popen(command, env=os.environ | {"UNDERTONE_TARGET": service.target}) as process:
        while len(service.calls) < after_calls and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    return process.returncode == -9


def test_killed_runs_and_replays_make_the_same_table(threaded_service: FakeClassifier, rows: Path, tmp_path: Path) -> None:
    chance = random.Random(20_261_121)
    broken = {
        f"Text {index} {'long ' * (index % 9)}": ItemFault(grpc.StatusCode.INTERNAL, "broken") for index in range(0, 180, 31)
    }
    threaded_service.item_faults = broken
    uninterrupted, interrupted = tmp_path / "uninterrupted", tmp_path / "interrupted"
    assert run(threaded_service, "score", rows, "--out", uninterrupted, *OPTIONS) == 1

    threaded_service.delay_seconds = 0.005
    kept: set[str] = set()
    for _ in range(KILLS):
        assert killed(threaded_service, chance.randrange(3, 20), "score", rows, "--out", interrupted, *OPTIONS, *BUSY)
        now = saved_ids(interrupted)
        assert kept <= now, "a row was lost"
        kept = now
    assert 0 < len(kept) < PARAGRAPHS
    threaded_service.delay_seconds = 0
    threaded_service.calls.clear()
    assert run(threaded_service, "score", rows, "--out", interrupted, *OPTIONS) == 1
    sent = [ident for call in threaded_service.calls for ident in call.ids]
    assert kept.isdisjoint(sent)
    assert read_table(interrupted) == read_table(uninterrupted)
    assert read_failures(interrupted) == read_failures(uninterrupted)

    threaded_service.item_faults = {}
    threaded_service.delay_seconds = 0.02
    replay = ("--batch-items", "1", "--limit", "1", "--quiet")
    assert killed(threaded_service, 6, "replay", interrupted, *replay, *BUSY)
    assert read_failures(interrupted) == read_failures(uninterrupted)
    threaded_service.delay_seconds = 0
    for out in (interrupted, uninterrupted):
        assert run(threaded_service, "replay", out, *replay) == 1  # null texts stay dead letters
    assert read_table(interrupted) == read_table(uninterrupted)
    assert read_failures(interrupted) == read_failures(uninterrupted)
    runs = [read_manifest(out) for out in (interrupted, uninterrupted)]
    assert runs[0]["complete"]
    assert runs[0]["shards"] == runs[1]["shards"]
    assert sum(map(len, read_table(interrupted).values())) == PARAGRAPHS - len(read_failures(interrupted))
    assert len(saved_ids(interrupted)) == PARAGRAPHS - len(read_failures(interrupted))
