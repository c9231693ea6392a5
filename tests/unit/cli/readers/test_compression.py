"""Compressed inputs: the content decides, memory is bounded, and no damage is taken for the end."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import grpc
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.readers import Format, ReadOptions, find_inputs
from undertone_cli.readers.compression import DecompressedStream
from undertone_client.jobs import InputError
from undertone_client.testing import FakeClassifier, ItemFault

from tests.unit.support.command import Command, read_manifest, read_paragraphs, write_input

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
every_compression = pytest.mark.parametrize("suffix", COMPRESSIONS)


class Pieces(io.RawIOBase):
    """A stream that returns at most `size` bytes at once, as a pipe or an object store does."""

    def __init__(self, content: io.RawIOBase | io.BytesIO, size: int) -> None:
        self._content = content
        self._size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._content.read(min(self._size, len(buffer))) or b""
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._content.close()
        super().close()


def serialized(texts: list[str], kind: str) -> bytes:
    rows = [{"text": text, "id": index} for index, text in enumerate(texts)]
    if kind == "txt":
        return "\n\n".join(texts).encode()
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if kind == "json":
        return json.dumps(rows, indent=len(texts) % 3 or None, ensure_ascii=False).encode()
    output = io.StringIO()
    writer = csv.DictWriter(output, ["id", "text"], delimiter="\t" if kind == "tsv" else ",")
    writer.writeheader()
    writer.writerows(rows)
    return output.getvalue().encode()


words = st.text("ab é\U0001f600\"'[]{},;", min_size=1).map(str.strip).filter(bool)


@settings(max_examples=120, deadline=None)
@given(
    texts=st.lists(words, max_size=8),
    kind=st.sampled_from(["txt", "jsonl", "json", "csv", "tsv"]),
    suffix=st.sampled_from(["", *COMPRESSIONS]),
    size=st.integers(1, 40),
    members=st.integers(1, 3),
    named=st.booleans(),
)
def test_paragraphs_do_not_depend_on_format_compression_pieces_or_members(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], kind: str, suffix: str, size: int, members: int, named: bool
) -> None:
    content = serialized(texts, kind)
    if suffix:
        step = len(content) // members + 1
        content = b"".join(
            COMPRESSIONS[suffix](content[start : start + step]) for start in range(0, max(len(content), 1), step)
        )
    path = write_input(tmp_path_factory.mktemp("a") / f"book.{kind}{suffix if named else ''}", content)
    found = find_inputs([str(path)], ReadOptions())
    paragraphs = list(found.paragraphs(stream_filter=lambda source, stream: Pieces(stream, size)))
    assert [paragraph.text for paragraph in paragraphs] == texts
    assert [paragraph.id for paragraph in paragraphs] == [f"book/{index:04d}" for index in range(len(texts))]


@every_compression
def test_cut_off_or_damaged_content_is_never_the_end(tmp_path: Path, suffix: str) -> None:
    content = COMPRESSIONS[suffix](b"".join(b"Paragraph %d.\n\n" % number for number in range(100)))
    for length in (12, len(content) // 2, len(content) - 1):
        with pytest.raises(InputError, match=r"a\.txt[^:]*: the \w+ data is (incomplete|damaged)"):
            read_paragraphs(write_input(tmp_path / f"a.txt{suffix}", content[:length]))
    with pytest.raises(InputError, match="is followed by other bytes: the file is damaged"):
        read_paragraphs(write_input(tmp_path / f"a.txt{suffix}", content + b"and some plain text"))
    damaged = bytes(byte ^ 255 if index > len(content) // 2 else byte for index, byte in enumerate(content))
    with pytest.raises(InputError, match=r"damaged|incomplete|followed"):
        read_paragraphs(write_input(tmp_path / f"a.txt{suffix}", damaged))


@every_compression
def test_the_suffix_promises_compressed_content(tmp_path: Path, suffix: str) -> None:
    for content, problem in ((b"Only text, really.", "is not compressed with"), (b"", "is empty")):
        with pytest.raises(InputError, match=rf"{problem}.*although its suffix says so: remove the suffix"):
            read_paragraphs(write_input(tmp_path / f"a.txt{suffix}", content))
    (paragraph,) = read_paragraphs(write_input(tmp_path / "b.txt.gz", COMPRESSIONS[suffix](b"Another compression.")))
    assert paragraph.text == "Another compression."


def test_padding_and_skippable_frames_are_not_content(tmp_path: Path) -> None:
    frame = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    zst = zstandard.ZstdCompressor().compress
    for name, content in (
        ("a.txt.gz", gzip.compress(b"One.") + bytes(1000)),
        ("b.txt.zst", zst(b"One") + frame + zst(b".")),
        ("c.txt.zst", frame + zst(b"One") + frame + zst(b".") + frame),
        ("d.txt", frame + zst(b"One.")),
    ):
        assert [each.text for each in read_paragraphs(write_input(tmp_path / name, content))] == ["One."]


@every_compression
def test_a_zip_bomb_needs_bounded_memory(suffix: str) -> None:
    bomb = COMPRESSIONS[suffix](bytes(8 << 20)) * 5
    assert len(bomb) < 60_000
    stream = DecompressedStream(Pieces(io.BytesIO(bomb), len(bomb)))
    tracemalloc.start()
    try:
        buffer, total = bytearray(1 << 20), 0
        while count := stream.readinto(buffer):
            total += count
        assert total == 40 << 20
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_compressed_parquet_and_archives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.parquet\.gz is compressed with gzip, but Parquet.*decompress the file"):
        read_paragraphs(write_input(tmp_path / "a.parquet.gz", gzip.compress(b"PAR1")))
    archive = gzip.compress(b"a/".ljust(257, b"\0") + b"ustar")
    for name, file_format in (("a.tar.gz", None), ("a.tgz", None), ("a.txt.gz", None), ("b.tar.gz", Format.TEXT)):
        with pytest.raises(InputError, match="it is a tar archive; extract its files"):
            read_paragraphs(write_input(tmp_path / name, archive), options=ReadOptions(format=file_format))
    with pytest.raises(InputError, match=r"the suffix '' does not determine the format"):
        read_paragraphs(write_input(tmp_path / "a.gz", gzip.compress(b"A text.")))


def test_compressed_files_of_a_folder_are_scored_and_replayed(
    command: Command, threaded_service: FakeClassifier, tmp_path: Path
) -> None:
    books, out = tmp_path / "books", tmp_path / "out"
    books.mkdir()
    write_input(books / "a.txt.gz", gzip.compress(b"One.\n\nTwo."))
    write_input(books / "b.tsv.zst", zstandard.ZstdCompressor().compress(b"id\ttext\n1\tThree.\n"))
    write_input(books / "c.unknown.gz", gzip.compress(b"x"))
    threaded_service.item_faults = {"Three.": ItemFault(grpc.StatusCode.INTERNAL, "broken")}
    result = command("score", books, "--out", out)
    assert (result.exit_code, "1 file was skipped" in result.output) == (1, True), result.output
    threaded_service.item_faults = {}
    assert command("replay", out).exit_code == 0
    assert pq.read_table(out)["id"].to_pylist() == ["a/0000", "a/0001", "b/0000"]
    assert read_manifest(out)["sources"][1]["bytes"] == (books / "b.tsv.zst").stat().st_size
