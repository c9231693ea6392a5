"""The command group."""

from click.testing import CliRunner
from undertone_cli.__main__ import COMMANDS, undertone


def test_help_shows_examples_without_a_service() -> None:
    for arguments in ([], *([name] for name in COMMANDS)):
        result = CliRunner().invoke(undertone, [*arguments, "--help"])
        assert result.exit_code == 0
        assert "Examples:" in result.output
    assert "Exit codes:" in CliRunner().invoke(undertone, ["score", "--help"]).output


def test_version() -> None:
    assert CliRunner().invoke(undertone, ["--version"]).output.startswith("undertone, version 0.")
