"""Files that are not UTF-8: the message names what they are and a remedy that works."""

import gzip
import subprocess
from pathlib import Path

import pytest
from undertone_cli.readers import ReadOptions
from undertone_client.jobs import InputError

from tests.unit.support.command import read_paragraphs, write_input

GERMAN = "Das Mädchen – „schön“ – ging nach Hause.\n\n"
FRENCH = "L’été est arrivé, et nous sommes allés à la mer, déjà très fatigués.\n\n"
RUSSIAN = "Привет, как дела? Всё хорошо, спасибо большое.\n\n"
POLISH = "Zażółć gęślą jaźń, jak się masz? Dziękuję, dobrze.\n\n"
JAPANESE = "日本語の文章です。今日はいい天気ですね。\n\n"
CHINESE = "今天天气很好，我们去公园散步吧。\n\n"


def problem(path: Path, content: bytes, options: ReadOptions | None = None) -> str:
    with pytest.raises(InputError) as raised:
        read_paragraphs(write_input(path, content), options=options)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (GERMAN, "cp1252", "WINDOWS-1252"),
        (FRENCH, "cp1252", "WINDOWS-1252"),
        (FRENCH.replace("’", "'"), "latin1", "WINDOWS-1252"),
        (RUSSIAN, "cp1251", "WINDOWS-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        (POLISH, "cp1250", "WINDOWS-1250"),
        (JAPANESE, "shift_jis", "SHIFT-JIS"),
        (CHINESE, "gb18030", "GB18030"),
        (GERMAN, "utf-16", "UTF-16"),
        (GERMAN, "utf-16-le", "UTF-16LE"),
        (GERMAN, "utf-16-be", "UTF-16BE"),
        (GERMAN, "utf-32", "UTF-32"),
    ],
)
def test_the_conversion_that_the_message_names_restores_the_text(tmp_path: Path, text: str, encoding: str, name: str) -> None:
    path = tmp_path / "a.txt"
    message = problem(path, (text * 3).encode(encoding))
    command = message[message.index("iconv -f") :].split(",")[0]
    assert command.startswith(f"iconv -f {name} -t UTF-8 ")
    subprocess.run(["sh", "-c", command], check=True)
    assert (tmp_path / "a.converted.txt").read_text() == text * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(gzip.compress(b"One.", mtime=0), mtime=0), "compressed more than once, here with gzip"),
        (b"PK\x03\x04rest", "not text but a ZIP archive"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PAR1\x15\x04", "it is Apache Parquet: set --format parquet"),
        (b"a/".ljust(257, b"\0") + b"ustar", "a tar archive; extract its files"),
        (bytes(range(256)) * 20, "null bytes"),
        ("naïve café ".encode() * 20 + b"na\xefve", "mixes encodings; repair this line, or drop the invalid bytes"),
    ],
)
def test_other_content_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    for suffix in (".txt", ".csv", ".jsonl"):
        found = problem(tmp_path / f"a{suffix}", content)
        assert message in found
        assert "LATIN1" not in found


def test_files_that_only_resemble_another_format(tmp_path: Path) -> None:
    for content in (b"BZh is a prefix.", b"PAR1 is a word.", b"PK", b"7z", b"Rar!", b"Obj", b""):
        texts = [paragraph.text for paragraph in read_paragraphs(write_input(tmp_path / "a.txt", content))]
        assert texts == [content.decode()] * bool(content)


def test_text_files_of_all_line_ends(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        content = f"One{end}and a half.{end}{end}Two.{end} {end}Three."
        paragraphs = read_paragraphs(write_input(tmp_path / "a.txt", content))
        assert [paragraph.text for paragraph in paragraphs] == ["One\nand a half.", "Two.", "Three."]
        assert [paragraph.location.rpartition(" ")[2] for paragraph in paragraphs] == ["1", "4", "6"]


def test_fields_that_a_json_object_has_twice(tmp_path: Path) -> None:
    message = problem(tmp_path / "a.jsonl", b'{"text": "a"}\n{"text": "b", "x": 1, "text": "c"}\n')
    assert "line 2: the object has 2 fields 'text'; give it one" in message
    options = ReadOptions(text_column="ação")
    for key in ('"ação"', '"a\\u00e7\\u00e3o"'):
        content = f'{{"ação": "b", {key}: "c"}}\n'.encode()
        assert "the object has 2 fields 'ação'" in problem(tmp_path / "a.jsonl", content, options)
    nested = b'{"text": "a", "inner": {"text": "b"}}\n{"text": "the \\"text\\" is "text""}\n'.replace(b'"text""', b'fine"')
    assert [paragraph.text for paragraph in read_paragraphs(write_input(tmp_path / "a.jsonl", nested))] == [
        "a",
        'the "text" is fine',
    ]
