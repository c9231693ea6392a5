"""--json of `undertone score` and `undertone replay`."""

import json
from pathlib import Path

import pytest
from undertone_cli.scoring.json_output import json_progress
from undertone_cli.scoring.monitor import RunCounts
from undertone_client import CallCounts, ClientState
from undertone_client.resilience import BreakerState
from undertone_client.testing import FakeClassifier
from undertone_protos.v1 import classifier_pb2

from tests.unit.support.command import Command, write_input


def test_progress_is_a_line_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = [0.0]
    show = json_progress(lambda: seconds[0])
    state = ClientState(in_flight=3, limit=8, waiting=0, backing_off=0, breaker=BreakerState.CLOSED, counts=CallCounts())
    counts = RunCounts(total=100)
    for _ in range(10):
        seconds[0] += 1
        counts.add_scored(("joy",), 5)
        show(counts, lambda: state)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["scored"], second["scored"]) == (5, 10)
    assert second == {
        "event": "progress",
        "scored": 10,
        "failed": 0,
        "kept": 0,
        "short": 0,
        "repeated": 0,
        "bad_lines": 0,
        "tokens": 50,
        "total": 100,
        "paragraphs_per_second": 1.0,
        "seconds_left": 90.0,
        "calls_in_flight": 3,
        "limit": 8,
        "breaker": "closed",
    }


def test_summary_is_the_only_output_of_a_short_run(command: Command, threaded_service: FakeClassifier, tmp_path: Path) -> None:
    threaded_service.flags = {"One.": (classifier_pb2.FLAG_LANGUAGE,)}
    path = write_input(tmp_path / "a.jsonl", '{"text": "One."}\nbad\n{"text": "One."}\n{"text": null}\n')
    out = tmp_path / "out"
    result = command("score", path, "--out", out, "--json", "--on-bad-line", "skip")
    assert (result.exit_code, result.stderr) == (1, "")
    summary = json.loads(result.stdout)
    assert (summary["event"], summary["scored"], summary["failed"], summary["repeated"], summary["bad_lines"]) == (
        "summary",
        2,
        1,
        1,
        1,
    )
    assert summary["flags"] == {"language": 2}
    assert (sum(summary["labels"].values()), summary["failures"], summary["calls"]["attempts"]["OK"] >= 1) == (
        2,
        {"INVALID_ARGUMENT": 1},
        True,
    )
    assert (summary["model"], summary["policy"], summary["folder"]) == (
        {"name": "fake", "version": 1, "precision": "fp32"},
        "chunk-mean",
        str(out),
    )
    assert json.loads(command("replay", out, "--json").stdout)["failed"] == 1


def test_json_and_quiet_exclude_each_other(command: Command, story: Path, tmp_path: Path) -> None:
    result = command("score", story, "--out", tmp_path / "out", "--json", "--quiet")
    assert (result.exit_code, "--quiet and --json exclude each other" in result.output) == (2, True)


def test_replay_without_dead_letters_has_a_summary(command: Command, story: Path, tmp_path: Path) -> None:
    assert command("score", story, "--out", tmp_path / "out").exit_code == 0
    assert json.loads(command("replay", tmp_path / "out", "--json").stdout)["scored"] == 0
