"""The command, called in this process; the service is one of its own."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from undertone_cli.__main__ import COMMANDS, undertone
from undertone_cli.commands import classify as classify_module
from undertone_cli.formatting import BAR_CELLS, bar
from undertone_cli.scoring.display import RateEstimate, Throttled, describe_state, progress_display
from undertone_cli.scoring.monitor import RunCounts
from undertone_client import BreakerState, CallCounts, ClientState

Command = Callable[..., Result]
IDLE = ClientState(in_flight=0, waiting=0, pausing=0, limit=1, breaker=BreakerState.CLOSED, counts=CallCounts())
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def command(target: str) -> Command:
    def call(*arguments: object, stdin: bytes | None = None, **environment: str) -> Result:
        variables = {"UNDERTONE_TARGET": target, "COLUMNS": "200"} | environment
        return CliRunner().invoke(undertone, [str(argument) for argument in arguments], input=stdin, env=variables)

    return call


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text("\n\n".join(f"Paragraph number {index}." for index in range(9)))
    return path


def test_help_needs_no_service_and_teaches_by_examples() -> None:
    for arguments in ([], *([name] for name in COMMANDS)):
        result = CliRunner().invoke(undertone, [*arguments, "--help"])
        assert result.exit_code == 0
        assert "Examples:" in result.output
    assert "Exit codes:" in CliRunner().invoke(undertone, ["score", "--help"]).output


def test_version() -> None:
    assert CliRunner().invoke(undertone, ["--version"]).output.startswith("undertone, version 0.")


def test_classify_prints_json_where_there_is_no_terminal(command: Command) -> None:
    result = command("classify", "The letter came too late.")
    document = json.loads(result.output)
    assert (result.exit_code, document["tokens"], document["model"]["name"]) == (0, 7, "fake")
    assert document["label"] == max(document["probabilities"], key=document["probabilities"].get)
    assert sum(document["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_classify_draws_bars_on_a_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = command("classify", "The letter came too late.")
    assert "█" in result.output
    assert "7 tokens · fake version 1 fp32" in result.output
    assert json.loads(command("classify", "--json", "x").output)["tokens"] == 3


def test_classify_reads_standard_input(command: Command) -> None:
    assert json.loads(command("classify", "-", stdin=b"Three words here").output)["tokens"] == 5
    result = command("classify", "-", stdin=b"na\xefve")
    assert (result.exit_code, "byte 2 is not UTF-8" in result.output) == (2, True)


def test_classify_with_a_policy(command: Command) -> None:
    assert json.loads(command("classify", "--policy", "truncate", "word " * 600).output)["truncated"] is True
    result = command("classify", "--policy", "reject", "word " * 600)
    assert (result.exit_code, "602 tokens" in result.output) == (1, True)


def test_an_empty_text_is_not_sent(command: Command) -> None:
    assert command("classify", " ", "--target", NOWHERE).exit_code == 2


@pytest.mark.parametrize("arguments", [("classify", "x"), ("model",), ("score", "story.txt", "--out", "out")])
def test_a_service_that_is_not_there(
    command: Command, story: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str]
) -> None:
    monkeypatch.chdir(story.parent)
    result = command(*arguments, "--target", NOWHERE)
    assert result.exit_code == 3
    assert f"{NOWHERE} does not answer" in result.output
    assert "--target or UNDERTONE_TARGET" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "http://localhost:1"), "has a URL scheme"),
        (("--ca-file", __file__), "add --tls"),
        (("--tls", "--cert", __file__), "both or neither"),
        (("--timeout", "0"), "--timeout"),
        (("--ca-file", "absent.pem"), "does not exist"),
    ],
)
def test_a_connection_that_cannot_work(command: Command, arguments: tuple[str], message: str) -> None:
    result = command("model", *arguments)
    assert (result.exit_code, message in result.output) == (2, True)


def test_model_shows_contract_and_limits(command: Command) -> None:
    result = command("model")
    assert "fake version 1 fp32" in result.output
    assert "up to 256 paragraphs, 1,048,576 bytes" in result.output
    document = json.loads(command("model", "--json").output)
    assert document["contract"]["labels"][0] == "joy"
    assert document["limits"]["max_batch_paragraphs"] == 256


def test_score_writes_a_table_and_says_so(command: Command, story: Path, tmp_path: Path) -> None:
    result = command("score", story, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "scored  9" in result.output
    table = pq.read_table(tmp_path / "out" / "scores")
    assert table["id"].to_pylist() == [f"story/{index:04d}" for index in range(9)]
    assert table["document"].to_pylist() == ["story"] * 9
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["inputs"] == [str(story)]
    assert run["counts"] == {"scored": 9, "failed": 0, "kept": 0}
    assert (run["complete"], run["policy"], run["model"]["name"]) == (True, "chunk-mean", "fake")
    assert run["paragraphs_per_second"] > 0
    assert (tmp_path / "out" / "failures.jsonl").read_text() == ""


def test_quiet_says_nothing(command: Command, story: Path, tmp_path: Path) -> None:
    assert command("score", story, "--out", tmp_path / "out", "--quiet").output == ""


def test_some_failures_are_exit_code_1(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n{"text": null}\n{"text": "  "}\n')
    result = command("score", path, "--out", tmp_path / "out")
    assert (result.exit_code, "failed  2, see" in result.output) == (1, True)
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert reasons == ["the text is null", "the text is empty"]


def test_a_second_run_keeps_what_there_is(command: Command, story: Path, tmp_path: Path) -> None:
    command("score", story, "--out", tmp_path / "out")
    before = (tmp_path / "out" / "run.json").read_bytes()
    result = command("score", story, "--out", tmp_path / "out")
    assert (result.exit_code, "scored  0, and 9 kept from an earlier run" in result.output) == (0, True)
    assert (tmp_path / "out" / "run.json").read_bytes() == before


def test_another_run_in_the_same_folder_is_refused_until_overwritten(command: Command, story: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command("score", story, "--out", out)
    result = command("score", story, "--out", out, "--policy", "truncate")
    assert result.exit_code == 2
    assert "policy: the folder has chunk-mean, this command has truncate" in result.output
    assert "--overwrite" in result.output
    story.write_text("Another story.")
    result = command("score", story, "--out", out)
    assert (result.exit_code, f"inputs: the folder has {story} (" in result.output) == (2, True)
    assert command("score", story, "--out", out, "--overwrite").exit_code == 0
    assert pq.read_table(out / "scores").num_rows == 1


def test_the_same_file_by_another_path_is_the_same_input(
    command: Command, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("score", story, "--out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    assert command("score", "story.txt", "--out", "out").exit_code == 0


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("x", ("absent.txt",), "absent.txt does not exist"),
        ("x", ("empty",), "empty: there is no file to read"),
        ("x", ("*.csv",), "*.csv: there is no file to read"),
        ('{"a": 1}\n', ("in.jsonl",), "no column 'text'; the columns are: 'a'"),
        ("not json\n", ("in.jsonl",), "in.jsonl, line 1, column 1: not valid JSON"),
        ('{"id": 1, "text": "x"}\n' * 2, ("in.jsonl", "--id-column", "id"), "duplicate id '1'"),
        ("x", ("in.jsonl", "--format", "xml"), "Invalid value for '--format'"),
        ("x", ("in.jsonl", "--batch-items", "0"), "Invalid value for '--batch-items'"),
        ("x", (), "Missing argument"),
        ("x", ("in.jsonl", "in.jsonl"), "would both be the document 'in'"),
    ],
)
def test_bad_inputs_are_found_before_anything_is_sent(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, arguments: tuple[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(content)
    (tmp_path / "empty").mkdir()
    result = command("score", *arguments, "--out", "out", "--target", NOWHERE)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(command: Command, story: Path) -> None:
    result = command("score", story, "--out", story / "out")
    assert (result.exit_code, "cannot be written" in result.output) == (2, True)
    assert "is a file" in command("score", story, "--out", story).output
    result = command("score", story, "--out", "/proc/undertone")
    assert (result.exit_code, "cannot be written" in result.output) == (2, True)


def test_ctrl_c_before_the_run(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(classify_module, "Client", interrupt)
    assert command("classify", "x").exit_code == 130


def test_rate_and_time_left() -> None:
    now = [0.0]
    estimate = RateEstimate(lambda: now[0])
    counts = RunCounts(total=1000, kept=500)
    assert estimate.describe(counts) == "0.0/s"
    now[0], counts.scored, counts.failed = 10.0, 90, 10
    assert estimate.describe(counts) == "10/s, 40 s left"
    now[0], counts.scored = 40.0, 390  # ten a second at first, then again; what is long past does not count
    assert estimate.describe(counts) == "10/s, 10 s left"
    now[0] = 80.0
    estimate.rate(counts)
    counts.total = None
    assert estimate.describe(counts) == "0.0/s"


def test_it_is_shown_no_more_often_than_it_should_be() -> None:
    now, shown = [0.0], []
    watch = Throttled(lambda counts, state: shown.append(now[0]), 5.0, lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        watch(RunCounts(), lambda: IDLE)
    assert shown == [5.0, 10.0]


def test_what_the_client_does_in_words() -> None:
    counts = CallCounts(attempts={"UNAVAILABLE": 3, "OK": 2, "INTERNAL": 1200})
    state = ClientState(in_flight=3, waiting=0, pausing=0, limit=16, breaker=BreakerState.OPEN, counts=counts)
    assert describe_state(state) == "3 of 16 calls in flight, breaker open, 2 OK, 1,200 INTERNAL, 3 UNAVAILABLE"


def test_bars() -> None:
    assert bar(1.0) == "█" * BAR_CELLS
    assert bar(0.0) == ""
    assert len(bar(0.5)) == BAR_CELLS // 2


@pytest.mark.parametrize(
    ("terminal", "words"), [(True, "30 of 90 paragraphs"), (False, "30 of 90 paragraphs, 2 failed, 3.0/s, 20 s left;")]
)
def test_the_view_of_a_run(terminal: bool, words: str) -> None:
    now, screen = [0.0], StringIO()
    console = Console(file=screen, force_terminal=terminal, width=160)
    counts = RunCounts(total=90)
    with progress_display(console, counts, lambda: now[0], print_line=console.print) as watch:
        now[0], counts.scored, counts.failed = 10.0, 28, 2
        watch(counts, lambda: replace(IDLE, in_flight=3, limit=7, breaker=BreakerState.HALF_OPEN))
    shown = " ".join(screen.getvalue().split())
    assert words in shown
    assert "20 s left" in shown
    assert "3 of 7 calls in flight, breaker half-open" in shown
