"""Options of the configuration file and of environment variables, and completion in a shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import COMMANDS, undertone

from tests.unit.support.command import Command, read_manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file of paragraphs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDERTONE_MIN_CHARACTERS")
    (tmp_path / "a.csv").write_text("body\nA text that is long enough.\n")
    return tmp_path


def min_characters(folder: Path) -> int:
    value = read_manifest(folder / "out")["options"]["min_characters"]
    assert isinstance(value, int)
    return value


def test_every_option_has_an_environment_variable_that_help_shows() -> None:
    variables: dict[str, str] = {}
    for name in COMMANDS:
        command = undertone.get_command(click.Context(undertone), name)
        assert command is not None
        options = [option for option in command.params if isinstance(option, click.Option)]
        for option in options:
            names = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
            assert names, (name, option.name)
            assert option.show_envvar
            if names[0].startswith(f"UNDERTONE_{name.upper()}_"):
                assert variables.setdefault(names[0], name) == name, names[0]
    output = CliRunner().invoke(undertone, ["score", "--help"], env={"COLUMNS": "200"}).output
    assert "UNDERTONE_SCORE_KEEP" in output
    assert "UNDERTONE_CONFIG" in output


def test_precedence_is_option_then_environment_then_file_then_default(command: Command, folder: Path) -> None:
    # With the byte order mark that some editors of Windows write.
    content = '\ufeff[score]\nmin-characters = 3\nout = "out"\ntext-column = "body"\n'
    (folder / "undertone.toml").write_text(content, encoding="utf-8")
    for arguments, environment, expected in (
        ((), {}, 3),
        ((), {"UNDERTONE_MIN_CHARACTERS": "2"}, 2),
        (("--min-characters", 1), {"UNDERTONE_MIN_CHARACTERS": "2"}, 1),
    ):
        assert command("score", "a.csv", "--overwrite", *arguments, **environment).exit_code == 0
        assert min_characters(folder) == expected


def test_files_that_are_read(command: Command, folder: Path) -> None:
    user = folder / "configuration" / "undertone" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[score]\nmin-characters = 4\n")
    run = ("score", "a.csv", "--out", "out", "--text-column", "body", "--overwrite")
    assert (command(*run).exit_code, min_characters(folder)) == (0, 4)
    (folder / "undertone.toml").write_text("[score]\nmin-characters = 5\n")
    assert (command(*run).exit_code, min_characters(folder)) == (0, 5)
    (folder / "other.toml").write_text("[score]\nmin-characters = 6\n")
    assert (command(*run, "--config", "other.toml").exit_code, min_characters(folder)) == (0, 6)
    assert (command(*run, UNDERTONE_CONFIG="other.toml").exit_code, min_characters(folder)) == (0, 6)


def test_options_of_all_commands_are_outside_the_tables(command: Command, folder: Path) -> None:
    (folder / "undertone.toml").write_text('timeout = 3\npatience = 0\n[score]\nkeep = ["body"]\n[classify]\njson = true\n')
    assert json.loads(command("classify", "A text.").output)["model"]["name"] == "fake"
    assert command("score", "a.csv", "--out", "out", "--text-column", "body").exit_code == 0
    assert read_manifest(folder / "out")["options"]["keep"] == ["body"]


def test_variables_of_options_without_their_own(command: Command, folder: Path) -> None:
    variables = {"UNDERTONE_SCORE_OUT": "out", "UNDERTONE_SCORE_TEXT_COLUMN": "body", "UNDERTONE_SCORE_QUIET": "1"}
    result = command("score", "a.csv", **variables)
    assert (result.exit_code, result.output, (folder / "out" / "_run.json").exists()) == (0, "", True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[scor]\n", "[scor]: there is no command 'scor'; did you mean score?"),
        (
            "[score]\nout-folder = 'x'\n",
            "[score] out-folder: there is no option for score 'out-folder'; use one of api-key-file, ",
        ),
        (
            "[score]\ntext_column = 'x'\n",
            "[score] text_column: there is no option for score 'text_column'; did you mean text-column?",
        ),
        ("taget = 'x'\n", "taget: there is no option for all commands 'taget'; did you mean target?"),
        ("out = 'x'\n", "out: write this option below the line [score]"),
        ("text = 'x'\n", "text: there is no option for all commands 'text'; "),
        ("[score]\nbatch-items = 0\n", "[score] batch-items: 0 is not in the range x>=1"),
        ("[score]\nbatch-items = 1.5\n", "[score] batch-items: 1.5 is not an integer"),
        ("[score]\nbatch-items = true\n", "[score] batch-items: True is not a value of --batch-items"),
        ("[score]\noverwrite = 'yes'\n", "[score] overwrite: 'yes' is not true or false"),
        ("[score]\nkeep = 'a'\n", "[score] keep: the value must be a list of values in brackets"),
        ("limit = 'x'\n", "limit: --limit 'x' is invalid: use adaptive, aimd or a number."),
        ("ca-file = 'nowhere'\n", "ca-file: File 'nowhere' does not exist."),
        ("[score\n", "is not valid TOML: "),
        ("target = x\n", "is not valid TOML: Invalid value (at line 1, column 10). Write strings in double quotes."),
        ("\udcff", "is not valid TOML: byte 0 is not UTF-8: convert the file"),
    ],
)
def test_errors_name_file_and_key(command: Command, folder: Path, content: str, message: str) -> None:
    (folder / "c.toml").write_bytes(content.encode("utf-8", "surrogateescape"))
    result = command("score", "a.csv", "--config", "c.toml")
    assert result.exit_code == 2
    assert f"Error: c.toml{' ' if message.startswith('is') else ', '}{message}" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_the_command(shell: str) -> None:
    result = CliRunner().invoke(undertone, ["completion", shell])
    assert (result.exit_code, "_UNDERTONE_COMPLETE" in result.output) == (0, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("undertone sc", "plain,score"),
        ("undertone score --on-b", "plain,--on-bad-line"),
        ("undertone score --policy tr", "plain,truncate"),
    ],
)
def test_completion_of_commands_options_and_values(words: str, expected: str) -> None:
    variables = {"_UNDERTONE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-m", "undertone_cli"]
    result = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    assert result.stdout == f"{expected}\n"


COLUMNS_OF_ANOTHER_JOB = """[score]
text-column = "body"
id-column = "key"
document-column = "book"
keep = ["stars", "text"]
delimiter = ";"
quotes = false
"""


def test_options_for_columns_are_ignored_without_columns(command: Command, folder: Path) -> None:
    (folder / "undertone.toml").write_text(COLUMNS_OF_ANOTHER_JOB)
    (folder / "novel.txt").write_text("It was late when she came home to an empty house.")
    assert command("score", "novel.txt", "--out", "out").exit_code == 0
    options = read_manifest(folder / "out")["options"]
    assert (options["text_column"], options["id_column"], options["document_column"]) == ("text", None, None)
    assert (options["keep"], options["delimiter"], options["quotes"]) == (["text"], None, True)
    assert command("replay", "out").exit_code == 0


@pytest.mark.parametrize("option", [("--id-column", "key"), ("--delimiter", ";"), ("--no-quotes",)])
def test_options_for_columns_are_refused_on_the_command_line(command: Command, folder: Path, option: tuple[str, ...]) -> None:
    (folder / "undertone.toml").write_text(COLUMNS_OF_ANOTHER_JOB)
    (folder / "novel.txt").write_text("It was late when she came home to an empty house.")
    result = command("score", "novel.txt", "--out", "out", *option)
    assert (result.exit_code, "remove the option from the command line" in result.output) == (2, True)
