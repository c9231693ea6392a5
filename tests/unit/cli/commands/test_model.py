"""`undertone model`, and the options of the connection."""

import json
from pathlib import Path

import pytest

from tests.unit.support.command import Command

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("arguments", [("classify", "x"), ("model",), ("score", "story.txt", "--out", "out")])
def test_unreachable_service_is_exit_code_3(
    command: Command, story: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str]
) -> None:
    monkeypatch.chdir(story.parent)
    monkeypatch.setenv("UNDERTONE_PATIENCE", "0")  # a job waits 300 s for its service otherwise
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
        (("--timeout", "inf"), "timeout_seconds is inf; it must be more than 0, and finite"),
        (("--ca-file", "absent.pem"), "does not exist"),
    ],
)
def test_invalid_connection_options(command: Command, arguments: tuple[str], message: str) -> None:
    result = command("model", *arguments)
    assert (result.exit_code, message in result.output) == (2, True)


def test_model_shows_contract_and_limits(command: Command) -> None:
    result = command("model")
    assert "fake version 1 fp32" in result.output
    assert "up to 256 paragraphs, 1,048,576 bytes" in result.output
    document = json.loads(command("model", "--json").output)
    assert document["contract"]["labels"][0] == "joy"
    assert document["limits"]["max_batch_paragraphs"] == 256
