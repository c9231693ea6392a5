"""The command group."""

import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import COMMANDS, undertone


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=lambda arguments: " ".join(arguments))
def test_help_shows_examples_in_100_columns_without_a_service(arguments: list[str]) -> None:
    result = CliRunner().invoke(undertone, [*arguments, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert max(map(len, result.output.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_help_with_exit_codes_has_those_of_both_signals(name: str) -> None:
    # The second form of `compare` has a help text of its own.
    forms = [[name, "--help"], *([[name, "--baseline", "a:1", "--candidate", "b:1", "--help"]] if name == "compare" else [])]
    for arguments in forms:
        lines = [" ".join(line.split()) for line in CliRunner().invoke(undertone, arguments).output.splitlines()]
        if "Exit codes:" in lines:
            codes = lines[lines.index("Exit codes:") :]
            assert codes[1] == "0 success"
            assert codes[-2:] == ["130 interrupted (SIGINT)", "143 terminated (SIGTERM)"]


def test_a_misspelt_command_has_a_suggestion() -> None:
    result = CliRunner().invoke(undertone, ["scor"])
    assert (result.exit_code, "No such command 'scor'. Did you mean 'score'?" in result.output) == (2, True)
    assert "No such command 'xyz'." in CliRunner().invoke(undertone, ["xyz"]).output


def test_version_is_printed() -> None:
    assert CliRunner().invoke(undertone, ["--version"]).output.startswith("undertone, version 0.")
