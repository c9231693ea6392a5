"""`undertone classify`."""

import gzip
import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from click.testing import Result
from undertone_cli.commands import classify as classify_module
from undertone_client.testing import FakeClassifier
from undertone_protos.v1 import classifier_pb2

from tests.unit.support.command import Command

NOWHERE = "127.0.0.1:1"


def results(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


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


@pytest.mark.parametrize("arguments", [(), ("-",)], ids=["", "-"])
def test_standard_input_has_a_result_for_each_paragraph(command: Command, arguments: tuple[str, ...]) -> None:
    (only,) = results(command("classify", *arguments, stdin=b"\nThree words here\n"))
    assert (only["id"], only["tokens"]) == ("stdin/0000", 5)
    found = results(command("classify", *arguments, stdin=b"One.\n\nTwo words,\nand three.\n\n\nThree.\n"))
    assert [(each["id"], each["tokens"]) for each in found] == [("stdin/0000", 3), ("stdin/0001", 6), ("stdin/0002", 3)]
    assert len(results(command("classify", *arguments, stdin=gzip.compress(b"One.\n\nTwo.")))) == 2


def test_lines_are_paragraphs(command: Command) -> None:
    found = results(command("classify", "--lines", stdin=b"One\ntwo words\n \nthree\n"))
    assert [(each["id"], each["tokens"]) for each in found] == [("stdin/0000", 3), ("stdin/0001", 4), ("stdin/0002", 3)]
    assert command("classify", "--lines", "A text.").exit_code == 2


def test_a_result_is_printed_before_the_next_line_arrives(threaded_service: FakeClassifier) -> None:
    command = [sys.executable, "-m", "undertone_cli", "classify", "--lines", "--target", threaded_service.target]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(b"A line.\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == f"stdin/{number:04d}"
        process.stdin.close()
        assert process.wait() == 0


def test_sigterm_ends_the_command_without_a_message(threaded_service: FakeClassifier) -> None:
    command = [sys.executable, "-m", "undertone_cli", "classify", "--lines", "--target", threaded_service.target]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"A line.\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == "stdin/0000"
        process.terminate()
        output, errors = process.communicate(timeout=60)
        # A shell and tini report this as 128 plus the number of the signal: 143.
        assert (process.returncode, output, errors) == (-signal.SIGTERM, b"", b"")


def test_failures_of_paragraphs_are_lines_and_exit_code_1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    long = b"word " * 600
    result = command("classify", "--policy", "reject", stdin=b"One.\n\n" + long + b"\n\nThree.\n")
    assert (result.exit_code, "Error: 1 paragraph has no score" in result.stderr) == (1, True)
    first, second, third = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["id"], second["id"], third["id"]) == ("stdin/0000", "stdin/0001", "stdin/0002")
    assert (second["error"]["status"], "602 tokens" in second["error"]["reason"]) == ("INVALID_ARGUMENT", True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "no score: " in command("classify", "--policy", "reject", stdin=b"One.\n\n" + long).output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"One.\n\nna\xefve",
            "line 3: byte 0xef is not UTF-8; its encoding is probably WINDOWS-1252; pipe the ",
        ),
        (
            "Two.".encode("utf-16"),
            "input cannot be read as text: its encoding is UTF-16; pipe the input through: iconv",
        ),
        (b" \n", "standard input has no paragraph; pass a text as a quoted argument, or pipe one into the command"),
    ],
)
def test_invalid_standard_input(command: Command, content: bytes, message: str) -> None:
    result = command("classify", stdin=content)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_policy_option_reaches_the_service(command: Command) -> None:
    assert json.loads(command("classify", "--policy", "truncate", "word " * 600).output)["truncated"] is True
    result = command("classify", "--policy", "reject", "word " * 600)
    assert (result.exit_code, "602 tokens" in result.output) == (1, True)


def test_flags_are_in_the_output(command: Command, threaded_service: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    threaded_service.flags = {"Xyzzy.": (classifier_pb2.FLAG_LANGUAGE, classifier_pb2.FLAG_UNREADABLE)}
    assert json.loads(command("classify", "Xyzzy.").output)["flags"] == ["language", "unreadable"]
    assert json.loads(command("classify", "Home.").output)["flags"] == []
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "not reliable: the text is in a language that the model was not made" in command("classify", "Xyzzy.").output


def test_empty_text_is_not_sent(command: Command) -> None:
    assert command("classify", " ", "--target", NOWHERE).exit_code == 2


def test_ctrl_c_is_exit_code_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(classify_module, "Client", interrupt)
    assert command("classify", "x").exit_code == 130
