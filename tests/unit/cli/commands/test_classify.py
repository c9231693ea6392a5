"""`undertone classify`."""

import json

import pytest
from undertone_cli.commands import classify as classify_module

from tests.unit.support.command import Command

NOWHERE = "127.0.0.1:1"


def test_output_is_json_without_a_terminal(command: Command) -> None:
    result = command("classify", "The letter came too late.")
    document = json.loads(result.output)
    assert (result.exit_code, document["tokens"], document["model"]["name"]) == (0, 7, "fake")
    assert document["label"] == max(document["probabilities"], key=document["probabilities"].get)
    assert sum(document["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_output_has_bars_on_a_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = command("classify", "The letter came too late.")
    assert "█" in result.output
    assert "7 tokens · fake version 1 fp32" in result.output
    assert json.loads(command("classify", "--json", "x").output)["tokens"] == 3


def test_dash_reads_standard_input(command: Command) -> None:
    assert json.loads(command("classify", "-", stdin=b"Three words here").output)["tokens"] == 5
    result = command("classify", "-", stdin=b"na\xefve")
    assert (result.exit_code, "byte 2 is not UTF-8" in result.output) == (2, True)


def test_policy_option_reaches_the_service(command: Command) -> None:
    assert json.loads(command("classify", "--policy", "truncate", "word " * 600).output)["truncated"] is True
    result = command("classify", "--policy", "reject", "word " * 600)
    assert (result.exit_code, "602 tokens" in result.output) == (1, True)


def test_empty_text_is_not_sent(command: Command) -> None:
    assert command("classify", " ", "--target", NOWHERE).exit_code == 2


def test_ctrl_c_is_exit_code_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(classify_module, "Client", interrupt)
    assert command("classify", "x").exit_code == 130
