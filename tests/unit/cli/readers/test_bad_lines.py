"""--on-bad-line: a bad line is an error, or it is skipped and listed. All other lines are read."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.readers import BadLine, BadLinePolicy, ReadOptions, find_inputs, lines
from undertone_client.jobs import InputError

from tests.unit.support.command import Command, read_manifest, read_paragraphs, read_table, write_input

SKIP = ReadOptions(on_bad_line=BadLinePolicy.SKIP)
JSON_ARRAY = '[{"text": "One."},\n 7,\n {"text": "Two."}, {"text": "a", "text": "b"}]'


def read(path: Path, options: ReadOptions = SKIP) -> tuple[list[str | None], list[BadLine]]:
    skipped: list[BadLine] = []
    found = find_inputs([str(path)], options)
    texts = [each.text for each in found.paragraphs(on_skipped_line=lambda source, line: skipped.append(line))]
    return texts, skipped


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        (
            "a.jsonl",
            b'{"text": "One."}\n{"text": \n["x"]\n\n{"text": "Two."}\n',
            {2: "not valid JSON in column", 3: "an array"},
        ),
        ("a.jsonl", b'{"text": "One."}\nna\xefve\n{"text": "Two."}\n\0\n', {2: "byte 0xef is not UTF-8", 4: "null bytes"}),
        ("a.jsonl", b'{"text": "One."}\n{"text": "a", "text": "b"}\n{"text": "Two."}', {2: "2 fields 'text'"}),
        ("a.json", JSON_ARRAY.encode(), {2: "the element 2 is a number", 3: "2 fields 'text'"}),
        ("a.csv", b"id,text\n1,One.\n2,a,b\n3\n4,Two.\n", {3: "3 fields, but the header has 2", 4: "1 fields"}),
        ("a.csv", b'id,text\n1,One.\n2,"a\nb" c\n4,Two.\n', {3: "not valid CSV .*lines 3 to 4"}),
        ("a.csv", b'id,text\n1,One.\n2,"a\nna\xefve\nb"\n4,Two.\n', {4: "byte 0xef is not UTF-8"}),
        ("a.csv", b'id,text\n1,One.\n2,"a\n3,b\n4,c"\n5,Two.\n', {3: "looks like the row '3'"}),
        ("a.tsv", b"id\ttext\n1\tOne.\n2\ta\tb\n3\tTwo.\n", {3: "3 fields, but the header has 2"}),
        ("a.txt", b"One.\n\nA line,\nna\xefve\nand more.\n\nTwo.\n", {4: "byte 0xef is not UTF-8"}),
    ],
)
def test_bad_lines_are_skipped_or_an_error(tmp_path: Path, name: str, content: bytes, bad: dict[int, str]) -> None:
    path = write_input(tmp_path / name, content)
    texts, skipped = read(path)
    assert texts == ["One.", "Two."]
    assert [line.line for line in skipped] == list(bad)
    for line, reason in zip(skipped, bad.values(), strict=True):
        assert re.search(reason, line.reason)
    with pytest.raises(InputError, match=rf"{name}, line {min(bad)}: .*{bad[min(bad)]}"):
        read_paragraphs(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"one\ntwo\n", r"a\.jsonl: no line can be read \(line 1: not valid JSON"),
        ("a.csv", b"tex\nOne.\n", "no column 'text'"),
        ("a.csv", b'text\nOne.\n"two\nthree\n', "line 3: not valid CSV .*unclosed quote"),
        ("a.txt", "One.\n\nTwo.".encode("utf-16"), "its encoding is UTF-16"),
        ("a.json", b'[{"text": "One."}, {"text": ]', r"line 1: not valid JSON \(a value is expected, such as"),
    ],
)
def test_files_of_another_format_are_an_error_in_any_case(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(write_input(tmp_path / name, content))


def test_the_rest_of_a_line_that_is_too_long_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    content = b'{"text": "One."}\n{"text": "' + b"x" * 1000 + b'"}\n{"text": "Two."}\n'
    texts, skipped = read(write_input(tmp_path / "a.jsonl", content))
    assert (texts, [(line.line, line.reason) for line in skipped]) == (["One.", "Two."], [(2, "longer than 100 bytes")])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.text("ab\u00e9", min_size=1, max_size=5)), min_size=1))
def test_no_valid_line_is_lost(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[bool, str]]) -> None:
    makers: dict[str, tuple[str, Callable[[str], str], Callable[[str], bytes]]] = {
        "jsonl": ("", lambda text: json.dumps({"text": text}), lambda text: f'{{"text": "{text}"'.encode()),
        "csv": ("id,text\n", lambda text: f"1,{text}", lambda text: f"1,{text},2".encode()),
        "txt": ("", lambda text: f"{text}\n", lambda text: f"{text}".encode() + b"\xff\n"),
    }
    folder = tmp_path_factory.mktemp("a")
    for kind, (header, good, bad) in makers.items():
        content = b"\n".join(good(text).encode() if valid else bad(text) for valid, text in rows)
        path = write_input(folder / f"a.{kind}", header.encode() + content)
        expected = [text for valid, text in rows if valid]
        if expected:
            texts, skipped = read(path)
            assert (texts, len(skipped)) == (expected, len(rows) - len(expected))
        else:
            with pytest.raises(InputError, match="no line can be read"):
                read(path)


def test_skipped_lines_are_listed_in_the_folder_without_text(command: Command, tmp_path: Path) -> None:
    path = write_input(tmp_path / "a.jsonl", '{"text": "One."}\nsecret\n{"text": "Two."}\n{"text": null}\n')
    out = tmp_path / "out"
    result = command("score", path, "--out", out)
    assert (result.exit_code, "line 2: not valid JSON" in result.output, out.exists()) == (2, True, False)
    result = command("score", path, "--out", out, "--on-bad-line", "skip")
    assert result.exit_code == 1  # of the text that is null
    assert f"bad lines  1 were skipped, see {out / '_bad_lines.jsonl'}" in result.output
    (line,) = (out / "_bad_lines.jsonl").read_text().splitlines()
    expected = {
        "input": str(path),
        "document": "a",
        "line": 2,
        "reason": "not valid JSON in column 1 (a value is expected, such as a string in double quotes or a number)",
    }
    assert json.loads(line) == expected
    assert [row["position"] for row in read_table(out)["part-00000.parquet"]] == [0, 1]
    assert read_manifest(out)["bad_lines"] == 1
    assert command("replay", out).exit_code == 1
    assert (json.loads((out / "_bad_lines.jsonl").read_text()), read_manifest(out)["bad_lines"]) == (expected, 1)


@pytest.mark.parametrize("options", [(), ("--id-column", "id")], ids=["", "id"])
def test_skipped_lines_of_a_pipe_are_listed(command: Command, tmp_path: Path, options: tuple[str, ...]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=('bad\n{"id": 1, "text": "One."}\nbad\n{"id": 2, "text": "Two."}\n',))
    writer.start()
    arguments = ("score", pipe, "--format", "jsonl", "--out", tmp_path / "out", "--on-bad-line", "skip", *options)
    assert command(*arguments).exit_code == 0
    writer.join()
    skipped = (tmp_path / "out" / "_bad_lines.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in skipped] == [1, 3]
