"""Inputs that the arguments name: folders, patterns, addresses."""

import gzip
from pathlib import Path

import pytest
from undertone_cli.readers import Format, ReadOptions, find_inputs
from undertone_client.jobs import InputError

FILES = ("b.txt", "a.txt", "2024/a.txt", "2024/c.jsonl", "2025/x/d.csv", "2025/_SUCCESS", ".git/e.txt", "read.me", "f[1].txt")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of several formats, and files to ignore."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        path = tmp_path / "books" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path / "books"


def documents(*names: str, form: Format | None = None) -> list[str]:
    return [source.document for source in find_inputs(names, ReadOptions(format=form)).inputs]


def test_folder_stands_for_all_files_of_known_formats(library: Path) -> None:
    inputs = find_inputs(["books"], ReadOptions())
    assert [source.name for source in inputs.inputs] == [
        "books/2024/a.txt",
        "books/2024/c.jsonl",
        "books/2025/x/d.csv",
        "books/a.txt",
        "books/b.txt",
        "books/f[1].txt",
    ]
    assert [source.document for source in inputs.inputs] == ["2024/a", "2024/c", "2025/x/d", "a", "b", "f[1]"]
    assert inputs.inputs[1].format is Format.JSONL
    assert inputs.skipped == ("read.me",)
    assert documents("books/", form=Format.TEXT)[-1] == "read"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("books/*.txt", ["a", "b", "f[1]"]),
        ("books/**/*.txt", ["2024/a", "a", "b", "f[1]"]),
        ("books/20?4/*", ["2024/a", "2024/c"]),
        ("books/20*", ["2024/a", "2024/c", "2025/x/d"]),
        ("books/[ab].txt", ["a", "b"]),
        ("books/f[1].txt", ["f[1]"]),  # a file with this name has precedence over the pattern
    ],
)
def test_patterns(library: Path, pattern: str, expected: list[str]) -> None:
    assert documents(pattern) == expected
    assert documents(str(library.parent / pattern)) == expected


def test_output_folder_is_excluded(library: Path) -> None:
    assert [source.document for source in find_inputs(["books"], ReadOptions(), exclude=Path("books/2024")).inputs] == [
        "2025/x/d",
        "a",
        "b",
        "f[1]",
    ]
    assert [source.document for source in find_inputs(["books/20*"], ReadOptions(), exclude=Path("books/2024")).inputs] == [
        "2025/x/d"
    ]
    assert len(find_inputs(["books/**/*.txt"], ReadOptions(), exclude=Path("books/2024")).inputs) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("books/2025/_*", "there is no file to read$"),
        ("books/*.me", "the format of read.me is unknown: set it with --format"),
        ("books/z*", "there is no file to read"),
        ("books/z.txt", "does not exist"),
        ("books/read.me", "the suffix '.me' does not determine the format"),
        ("ftp://x/a.txt", "addresses must start with s3:// or gs://"),
        ("https://example.org/a.txt", "addresses must start with s3:// or gs://"),
        ("s3:///key.txt", "has no bucket"),
        ("s3://me:hunter2@bucket/key.txt", "an address must not contain credentials"),
    ],
)
def test_names_without_files(library: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        find_inputs([name], ReadOptions())
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a/".ljust(257, b"\0") + b"ustar", mtime=0), r"a\.data: it is a tar archive; extract its files"),
        (b"PAR1\x15\x04", r"a\.data: it is Apache Parquet: set --format parquet"),
        (b"A text.", r"a\.data: the suffix '\.data' does not determine the format; set it with --format"),
    ],
)
def test_the_advice_for_an_unknown_suffix_fits_the_content(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.data"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        find_inputs([str(path)], ReadOptions())


def test_standard_input_cannot_be_parquet() -> None:
    with pytest.raises(InputError, match="standard input"):
        find_inputs(["-"], ReadOptions(format=Format.PARQUET))
