"""Folders as people have them: symbolic links, special files, unreadable folders, odd names."""

import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from undertone_cli.readers import ReadOptions, find_inputs
from undertone_client.jobs import InputError

from tests.unit.support.command import Command, read_manifest, write_texts

UNPRIVILEGED_USER_ID = 65_534
"""The user id of an account without privileges. Folder permissions apply to it, but not to root."""


def documents(*names: Path | str) -> list[str]:
    return [source.document for source in find_inputs(map(str, names), ReadOptions()).inputs]


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "2024").mkdir(parents=True)
    write_texts(tmp_path / "elsewhere" / "2024" / "a.txt", ["One."])
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "b.txt").symlink_to(tmp_path / "elsewhere" / "2024" / "a.txt")
    assert documents(tmp_path / "corpus") == ["b", "linked/2024/a"]
    assert documents(tmp_path / "corpus" / "**" / "*.txt") == ["b", "linked/2024/a"]


@pytest.mark.parametrize("name", ["corpus", "corpus/**/*.txt", "corpus/**"])
def test_links_to_a_folder_above_them_are_skipped_and_counted(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "corpus" / "a" / "b").mkdir(parents=True)
    write_texts(tmp_path / "corpus" / "a" / "b" / "c.txt", ["One."])
    (tmp_path / "corpus" / "a" / "b" / "loop").symlink_to(tmp_path / "corpus")
    (tmp_path / "corpus" / "a" / "self").symlink_to(tmp_path / "corpus" / "a")
    result = command("score", tmp_path / name, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert pq.read_table(tmp_path / "out")["document"].to_pylist() == ["a/b/c"]
    assert "2 symbolic links were skipped, because it would lead to the same files again" in result.output


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: os.mkfifo(path), "pipe.txt is a FIFO; remove it"),
        (lambda path: _socket(path), "pipe.txt is a socket; remove it"),
        (lambda path: path.symlink_to("/dev/zero"), "pipe.txt is a device; remove it"),
        (lambda path: path.symlink_to("absent"), "pipe.txt cannot be read: No such file"),
        (lambda path: path.symlink_to(path.name), "pipe.txt cannot be read: Too many levels of symbolic links"),
    ],
    ids=["FIFO", "socket", "device", "dangling link", "link to itself"],
)
def test_special_files_in_a_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], message: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 107 bytes
    Path("corpus").mkdir()
    write_texts(Path("corpus/a.txt"), ["One."])
    make(Path("corpus/pipe.txt"))
    for name in ("corpus", "corpus/*.txt"):
        with pytest.raises(InputError, match=message):
            find_inputs([name], ReadOptions())


def test_special_files_with_other_suffixes_are_skipped(tmp_path: Path) -> None:
    write_texts(tmp_path / "a.txt", ["One."])
    os.mkfifo(tmp_path / "pipe")
    found = find_inputs([str(tmp_path)], ReadOptions())
    assert ([source.document for source in found.inputs], found.skipped) == (["a"], ("pipe",))


def test_devices_and_sockets_are_refused_as_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _socket(Path("s.txt"))
    for name, kind in (("/dev/zero", "a device"), ("s.txt", "a socket")):
        with pytest.raises(InputError, match=rf"{name} is {kind}; name a file, or pass - to read standard input"):
            find_inputs([name], ReadOptions())


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read every folder, so that a test of permissions needs another user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(UNPRIVILEGED_USER_ID)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable_folders_are_an_error() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_texts(folder / "a.txt", ["One."])
        write_texts(folder / "closed.txt", ["One."])
        (folder / "locked").mkdir()
        folder.chmod(0o755)
        (folder / "locked").chmod(0)
        (folder / "closed.txt").chmod(0)
        with unprivileged():
            for pattern in ("", "**/*.txt"):
                with pytest.raises(InputError, match=r"the folder .*/locked cannot be read: Permission denied; change its"):
                    find_inputs([str(folder / pattern)], ReadOptions())
            with pytest.raises(InputError, match=r"locked/a\.txt cannot be read: Permission denied"):
                find_inputs([str(folder / "locked" / "a.txt")], ReadOptions())
            with pytest.raises(InputError, match=r"closed\.txt cannot be read: Permission denied"):
                list(find_inputs([str(folder / "closed.txt")], ReadOptions()).paragraphs())
            assert documents(folder / "*.txt") == ["a", "closed"]
        (folder / "locked").chmod(stat.S_IRWXU)


def test_ignored_folders_need_not_be_readable() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_texts(folder / "a.txt", ["One."])
        (folder / ".trash").mkdir()
        folder.chmod(0o755)
        (folder / ".trash").chmod(0)
        with unprivileged():
            assert documents(folder) == ["a"]
        (folder / ".trash").chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    "name", ["what?.txt", "100%.txt", "a#b.txt", "s3:x.txt", "a&b=c.txt", " .txt", "new\nline.txt", "-.txt"]
)
def test_names_with_special_characters(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "corpus").mkdir()
    write_texts(tmp_path / "corpus" / name, ["One."])
    assert documents(tmp_path / "corpus" / name) == [name.removesuffix(".txt")]
    assert command("score", tmp_path / "corpus", "--out", tmp_path / "out").exit_code == 0
    assert pq.read_table(tmp_path / "out")["document"].to_pylist() == [name.removesuffix(".txt")]


def test_file_with_the_name_of_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-").write_text("One.")
    Path("a.txt").write_text("Two.")
    found = find_inputs(["."], ReadOptions(format=None))
    assert [source.is_stdin for source in found.inputs] == [False]
    found = find_inputs(["*"], ReadOptions(text_column="text", format=found.inputs[0].format))
    assert sorted(paragraph.text or "" for paragraph in found.paragraphs()) == ["One.", "Two."]


def test_file_names_that_are_not_utf8(command: Command, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "corpus")
    os.mkdir(folder)  # noqa: PTH102 - the names are bytes
    for name in (b"na\xefve.txt", b"caf\xe9.jsonl"):
        with open(folder + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(b'{"text": "One."}\n' if name.endswith(b"jsonl") else b"Two.\n\n \n")
    with open(folder + b"/bad\xff.txt", "wb") as file:  # noqa: PTH123
        file.write(b"\xff\xfe")
    result = command("score", tmp_path / "corpus", "--out", tmp_path / "out")
    assert (result.exit_code, r"bad\xff.txt" in result.output) == (2, True), result.output
    os.unlink(folder + b"/bad\xff.txt")  # noqa: PTH108
    result = command("score", tmp_path / "corpus", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert pq.read_table(tmp_path / "out")["id"].to_pylist() == [r"caf\xe9/0000", r"na\xefve/0000"]
    names = [os.fsencode(source["name"]) for source in read_manifest(tmp_path / "out")["sources"]]
    assert [os.path.basename(name) for name in names] == [b"caf\xe9.jsonl", b"na\xefve.txt"]  # noqa: PTH119
    assert command("score", tmp_path / "corpus", "--out", tmp_path / "out").exit_code == 0
    assert command("replay", tmp_path / "out").exit_code == 0
    assert command("report", tmp_path / "out", "--with-text").exit_code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file:///data/a.txt", "addresses must start with s3:// or gs://; name the file as /data/a.txt"),
        ("hdfs://host/a.txt", "copy the input to a local file first"),
        ("x" * 5000, "cannot be read: File name too long"),
        ("a\0b.txt", "does not exist"),
    ],
)
def test_names_that_are_no_files(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_inputs([name], ReadOptions())
