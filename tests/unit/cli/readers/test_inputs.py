"""Sets of inputs: ids, documents, and memory."""

import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_cli.readers import Format, ReadOptions, UniqueIds, find_inputs
from undertone_client.jobs import InputError

from tests.unit.support.command import read_paragraphs, write_input


def test_positions_of_a_document_column_span_files(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = write_input(tmp_path / "a.csv", "book,text\nx,one\ny,two\n")
    second = write_input(tmp_path / "other" / "a.csv", "book,text\nx,three\n,four\n")
    paragraphs = read_paragraphs(first, second, options=ReadOptions(document_column="book"))
    assert [paragraph.id for paragraph in paragraphs] == ["x/0000", "y/0000", "x/0001", "a/0000"]


def test_integers_are_valid_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"key": [7, 8], "text": pa.array(["one", "two"]).dictionary_encode()}), path)
    assert [(paragraph.id, paragraph.text) for paragraph in read_paragraphs(path, options=ReadOptions(id_column="key"))] == [
        (7, "one"),
        (8, "two"),
    ]


@pytest.mark.parametrize(
    ("ident", "message"),
    [
        ("null", "the column 'key' has no id"),
        ('""', "the column 'key' has no id"),
        ("1.5", "the id 1.5 is not an integer"),
        ("true", "the id is of type bool"),
        (f'"{"x" * 5000}"', "the id has 5,000 characters, the limit is 4,096; name another column with --id-column"),
    ],
)
def test_invalid_id(tmp_path: Path, ident: str, message: str) -> None:
    path = write_input(tmp_path / "a.jsonl", f'{{"key": "x", "text": "x"}}\n{{"key": {ident}, "text": "x"}}\n')
    with pytest.raises(InputError, match=rf"line 2: {message}"):
        read_paragraphs(path, options=ReadOptions(id_column="key"))


def test_duplicate_id_is_reported_with_both_locations(tmp_path: Path) -> None:
    first = write_input(tmp_path / "a.csv", "key,text\n1,one\n2,two\n")
    second = write_input(tmp_path / "b.jsonl", '{"key": "2", "text": "x"}\n')
    with pytest.raises(InputError, match=r"duplicate id '2': .*a\.csv, line 3, and .*b\.jsonl, line 1"):
        read_paragraphs(first, second, options=ReadOptions(id_column="key"))


def test_files_with_the_same_document_name_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [str(write_input(tmp_path / "a.txt", "x")), str(write_input(tmp_path / "other" / "a.txt", "y"))]
    with pytest.raises(InputError, match="would both be the document 'a'"):
        find_inputs(paths, ReadOptions())


def test_format_option_overrides_the_suffix(tmp_path: Path) -> None:
    path = write_input(tmp_path / "a.log", "one\n\ntwo")
    assert len(read_paragraphs(path, options=ReadOptions(format=Format.TEXT))) == 2


def test_unique_ids_need_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as lines:
        lines.writelines(json.dumps({"key": index, "text": "x" * 1000}) + "\n" for index in range(3000))
    tracemalloc.start()
    try:
        with UniqueIds() as ids:
            count = sum(1 for _ in find_inputs([str(path)], ReadOptions(id_column="key")).paragraphs(ids))
        assert count == 3000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
