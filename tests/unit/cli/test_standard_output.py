"""Standard output of the command, and of every other one, that is full, closed or a pipe."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from rich.table import Table
from undertone_cli.__main__ import main
from undertone_cli.console import output_console
from undertone_client.testing import FakeClassifier
from undertone_telemetry.standard_output import checked_standard_output


@pytest.fixture
def target(threaded_service: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERTONE_TARGET", threaded_service.target)


def run(
    monkeypatch: pytest.MonkeyPatch, file: io.TextIOBase | None, *arguments: object, main: Callable[[], object] = main
) -> object:
    monkeypatch.setattr("sys.argv", ["undertone", *map(str, arguments)])
    monkeypatch.setattr("sys.stdout", file)
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("arguments", [("classify", "At last!"), ("model",), ("--help",), ("--version",)], ids=" ".join)
def test_a_full_disk_is_named_without_a_traceback(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        assert run(monkeypatch, full, *arguments) == 1
    assert capfd.readouterr().err == "Error: standard output cannot be written: No space left on device\n"


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("arguments", [("classify", "At last!"), ("model",)], ids=" ".join)
def test_a_reader_that_ends_early_ends_the_command_without_a_message(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    # Python reports what is left in the buffer once more, when the file is closed.
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "w") as pipe:
        assert run(monkeypatch, pipe, *arguments) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("target")
def test_a_closed_output_has_no_traceback(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, None, "model") == 0
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("target")
def test_a_run_succeeds_although_its_summary_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = tmp_path / "story.txt"
    story.write_text("At last, home we are.")
    with Path("/dev/full").open("w") as full:
        assert run(monkeypatch, full, "score", story, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "part-00000.parquet").exists()


PROGRAMS = {
    "undertone-batch": "undertone_batch.__main__",
    "undertone-bench": "undertone_bench.__main__",
    "undertone-dev-server": "undertone_dev_server.__main__",
    "undertone-model": "undertone_model.__main__",
    "undertone-pod": "undertone_dev_server.pod_command",
    "undertone-sidecar": "undertone_sidecar.__main__",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_prints_its_version_and_names_a_full_disk(
    program: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program_main = import_module(PROGRAMS[program]).main
    output = io.StringIO()
    assert run(monkeypatch, output, "--version", main=lambda: sys.exit(program_main())) in (0, None)
    assert output.getvalue().startswith(f"{program}, version 0.")
    with Path("/dev/full").open("w") as full:
        assert run(monkeypatch, full, "--version", main=lambda: sys.exit(program_main())) == 1
    assert capfd.readouterr().err.endswith("standard output cannot be written: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "w") as pipe:
        assert run(monkeypatch, pipe, "--help", main=lambda: sys.exit(program_main())) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("target")
def test_a_full_disk_in_the_middle_of_the_output_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text("A line.\n" * 200)
    with Path("/dev/full").open("w") as full, (tmp_path / "lines").open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        assert run(monkeypatch, full, "classify", "--lines") == 1
    assert capfd.readouterr().err == "Error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(("program", "variable"), [("batch", "RUN_TEXT_COLUMN"), ("model", "EXPORT_CHECKPOINT")])
def test_options_of_other_programs_have_environment_variables(
    program: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = io.StringIO()
    program_main = import_module(PROGRAMS[f"undertone-{program}"]).main
    assert run(monkeypatch, output, variable.partition("_")[0].lower(), "--help", main=program_main) == 0
    assert f"UNDERTONE_{program.upper()}_{variable}" in output.getvalue()


def test_errors_of_other_files_are_raised() -> None:
    with pytest.raises(OSError, match="nowhere"), checked_standard_output():
        Path("/nowhere").read_text()


def test_a_table_for_programs_has_one_line_a_row_and_no_spaces_at_line_ends() -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("labels", "word " * 60 + "end")
    table.add_row("model", "fake")
    output = io.StringIO()
    output_console(output).print(table)
    assert output.getvalue() == f"labels  {'word ' * 60}end\nmodel   fake\n"
