"""From names to inputs: folders, patterns, and the addresses of object stores."""

from pathlib import Path

import pytest
from undertone_cli.sources import Catalogue, Format, SourceOptions
from undertone_cli.sources.address import Address
from undertone_cli.sources.expansion import expand
from undertone_client.jobs import InputError

FILES = ("b.txt", "a.txt", "2024/a.txt", "2024/c.jsonl", "2025/x/d.csv", "2025/_SUCCESS", ".git/e.txt", "read.me", "f[1].txt")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of several forms in several folders, some of them nobody's."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        path = tmp_path / "books" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path / "books"


def documents(*names: str, form: Format | None = None) -> list[str]:
    return [source.document for source in Catalogue.of(names, SourceOptions(format=form)).inputs]


def test_a_folder_stands_for_all_files_below_whose_form_is_known(library: Path) -> None:
    expansion = expand("books", None)
    assert [source.name for source in expansion.inputs] == [
        "books/2024/a.txt",
        "books/2024/c.jsonl",
        "books/2025/x/d.csv",
        "books/a.txt",
        "books/b.txt",
        "books/f[1].txt",
    ]
    assert [source.document for source in expansion.inputs] == ["2024/a", "2024/c", "2025/x/d", "a", "b", "f[1]"]
    assert expansion.inputs[1].format is Format.JSONL
    assert expansion.skipped == ("read.me",)
    assert documents("books/", form=Format.TEXT)[-1] == "read"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("books/*.txt", ["a", "b", "f[1]"]),
        ("books/**/*.txt", ["2024/a", "a", "b", "f[1]"]),
        ("books/20?4/*", ["2024/a", "2024/c"]),
        ("books/20*", ["2024/a", "2024/c", "2025/x/d"]),
        ("books/[ab].txt", ["a", "b"]),
        ("books/f[1].txt", ["f[1]"]),  # a file of that name goes before the pattern that it could be
    ],
)
def test_patterns(library: Path, pattern: str, expected: list[str]) -> None:
    assert documents(pattern) == expected
    assert documents(str(library.parent / pattern)) == expected


def test_the_output_folder_is_no_input(library: Path) -> None:
    assert [source.document for source in expand("books", None, Path("books/2024")).inputs] == ["2025/x/d", "a", "b", "f[1]"]
    assert [source.document for source in expand("books/20*", None, Path("books/2024")).inputs] == ["2025/x/d"]
    assert len(expand("books/**/*.txt", None, Path("books/2024")).inputs) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("books/2025/_*", "there is no file to read$"),
        ("books/*.me", "only such as read.me: its form is not known by its suffix, say it with --format"),
        ("books/z*", "there is no file to read"),
        ("books/z.txt", "does not exist"),
        ("books/read.me", "the suffix '.me' says nothing"),
        ("ftp://x/a.txt", "only addresses that begin with s3:// or gs://"),
        ("s3:///key.txt", "names no bucket"),
        ("s3://me:hunter2@bucket/key.txt", "credentials do not belong into an address"),
    ],
)
def test_names_that_stand_for_nothing(library: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        expand(name, None)
    assert "hunter2" not in str(raised.value)


def test_an_address_and_its_parts() -> None:
    address = Address.parse("s3://bucket/a key/b.txt?region=eu-central-1&scheme=http")
    assert address is not None
    assert (address.path, address.options) == ("bucket/a key/b.txt", "region=eu-central-1&scheme=http")
    assert address.shown == "s3://bucket/a key/b.txt"
    assert str(address.at("bucket/c")) == "s3://bucket/c?region=eu-central-1&scheme=http"
    assert Address.parse(str(address)) == address
    anonymous = Address.parse("gs://anonymous@public/data/")
    assert anonymous is not None
    assert (str(anonymous), anonymous.shown) == ("gs://anonymous@public/data", "gs://public/data")
    assert Address.parse("s3-notes.txt") is None
