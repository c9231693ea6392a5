"""kill -9 at any moment: the table ends as that of a run that nobody has disturbed, no row lost and none twice."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import undertone
from undertone_client.testing import FakeClassifier, ItemFault

PARAGRAPHS = 240
KILLS = 3
OPTIONS = ("--rows-per-part", "20", "--batch-items", "4", "--limit", "2", "--attempts", "1", "--quiet")
BUSY = ("--checkpoint", "0")
"""Saves after every answer, so that most kills come while a file is being written."""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Some texts come more than once, some are refused, and some are none."""
    path = tmp_path / "rows.jsonl"
    texts = [None if index % 97 == 5 else f"Text {index % 180} {'long ' * (index % 9)}" for index in range(PARAGRAPHS)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def called(service: FakeClassifier, *arguments: object) -> int:
    """Run the command to its end, in this process."""
    line = [str(argument) for argument in arguments]
    return CliRunner().invoke(undertone, line, env={"UNDERTONE_TARGET": service.target}).exit_code


def killed(service: FakeClassifier, after_calls: int, *arguments: object) -> bool:
    """Run the command in a process of its own, and kill that after so many calls; whether it was in time."""
    service.calls.clear()
    command = [sys.executable, "-m", "undertone_cli", *map(str, arguments)]
    with subprocess.Popen(command, env=os.environ | {"UNDERTONE_TARGET": service.target}) as process:
        while len(service.calls) < after_calls and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    return process.returncode == -9


def table(out: Path) -> list[dict[str, Any]]:
    parts = sorted((out / "scores").glob("part-*.parquet"))
    return [{**row, "part": part.name, "scored_at": None} for part in parts for row in pq.read_table(part).to_pylist()]


def letters(out: Path) -> str:
    return (out / "failures.jsonl").read_text()


def test_a_run_and_a_replay_that_are_killed_again_and_again(hosted: FakeClassifier, rows: Path, tmp_path: Path) -> None:
    chance = random.Random(20_261_121)
    broken = {
        f"Text {index} {'long ' * (index % 9)}": ItemFault(grpc.StatusCode.INTERNAL, "broken") for index in range(0, 180, 31)
    }
    hosted.item_faults = broken
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert called(hosted, "score", rows, "--out", whole, *OPTIONS) == 1

    hosted.delay_seconds = 0.005
    kept: set[str] = set()
    for _ in range(KILLS):
        assert killed(hosted, chance.randrange(3, 20), "score", rows, "--out", torn, *OPTIONS, *BUSY)
        now = {row["id"] for row in table(torn)}
        assert kept <= now, "a row was lost"
        kept = now
    assert 0 < len(kept) < PARAGRAPHS
    hosted.delay_seconds = 0
    hosted.calls.clear()
    assert called(hosted, "score", rows, "--out", torn, *OPTIONS) == 1
    sent = [ident for call in hosted.calls for ident in call.ids]
    assert kept.isdisjoint(sent)
    assert table(torn) == table(whole)
    assert letters(torn) == letters(whole)
    assert [row["id"] for row in table(torn)] == [row["id"] for row in table(whole)]

    hosted.item_faults = {}
    hosted.delay_seconds = 0.02
    replay = ("--batch-items", "1", "--limit", "1", "--quiet")
    assert killed(hosted, 6, "replay", torn, *replay, *BUSY)
    assert letters(torn) == letters(whole)
    hosted.delay_seconds = 0
    for out in (torn, whole):
        assert called(hosted, "replay", out, *replay) == 1  # what is no text stays
    assert table(torn) == table(whole)
    assert letters(torn) == letters(whole)
    runs = [json.loads((out / "run.json").read_text()) for out in (torn, whole)]
    assert runs[0]["complete"]
    assert runs[0]["shards"] == runs[1]["shards"]
    assert len({row["id"] for row in table(torn)}) == len(table(torn)) == PARAGRAPHS - len(letters(torn).splitlines())
