"""Types of ids and kept columns: what is carried, and what is refused with the row."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_cli.readers import InputParagraph, ReadOptions, RowTypes, find_inputs, inspect_inputs
from undertone_client.jobs import InputError

UUIDS = [uuid.UUID(int=index + 1) for index in range(2)]
TEXTS = pa.array(["one", "two"])


def read(options: ReadOptions, *paths: Path) -> tuple[RowTypes, list[InputParagraph]]:
    """The types of the first reading, and the paragraphs of the second one."""
    inputs = find_inputs(map(str, paths), options)
    types = inspect_inputs(inputs).types
    return types, list(inputs.paragraphs(types=types))


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table({"text": TEXTS, **columns}), path)
    return path


def jsonl(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps({"text": "a text", **row}) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("ids", "kind", "expected"),
    [
        (pa.array([1, 2**40], pa.int64()), "long", [1, 2**40]),
        (pa.array([1, 2], pa.uint8()), "long", [1, 2]),
        (pa.array([1.0, 2.0]), "long", [1, 2]),
        (pa.array([Decimal(1), Decimal(2)], pa.decimal128(38, 0)), "long", [1, 2]),
        (pa.array(["1", "2"]).dictionary_encode(), "string", ["1", "2"]),
        (pa.array([each.bytes for each in UUIDS], pa.uuid()), "string", list(map(str, UUIDS))),
    ],
)
def test_ids_of_parquet(tmp_path: Path, ids: Any, kind: str, expected: list[object]) -> None:
    types, paragraphs = read(ReadOptions(id_column="key"), parquet(tmp_path / "a.parquet", key=ids))
    assert (types.id, [each.id for each in paragraphs]) == (kind, expected)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (pa.array([1.0, 2.5]), r"row 2: the id 2\.5 is not an integer"),
        (pa.array([1.0, 2.0**60]), r"row 2: the id 1\.15.* is not an integer"),
        (pa.array([1.0, float("nan")]), "row 2: the id nan is not an integer"),
        (pa.array([1, 2**64 - 1], pa.uint64()), "row 2: the id 18446744073709551615 is an integer of more than 64 bits"),
        (pa.array([b"a", b"b"]), "row 1: the id is of type bytes"),
    ],
)
def test_ids_that_would_lose_something_are_refused(tmp_path: Path, ids: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(ReadOptions(id_column="key"), parquet(tmp_path / "a.parquet", key=ids))


def test_mixed_ids_of_json_name_both_rows(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"key": 1}, {"key": 2}, {"key": "c"})
    with pytest.raises(InputError, match=r"line 3: 'id' has type string, but long in .*a\.jsonl, line 1; .* to strings"):
        read(ReadOptions(id_column="key"), path)


def test_ids_of_all_inputs_have_one_type(tmp_path: Path) -> None:
    first, second = jsonl(tmp_path / "a.jsonl", {"key": 1}), tmp_path / "b.csv"
    second.write_text("key,text\n2,b\n")
    with pytest.raises(InputError, match=r"b\.csv, line 2: 'id' has type string, but long in .*a\.jsonl"):
        read(ReadOptions(id_column="key"), first, second)


NOON = dt.datetime(2025, 3, 5, 12, tzinfo=dt.UTC)
COLUMNS = {
    "flag": ("boolean", pa.array([True, None])),
    "small": ("int", pa.array([1, None], pa.int8())),
    "large": ("long", pa.array([2**40, None])),
    "unsigned": ("long", pa.array([2**40, None], pa.uint64())),
    "half": ("float", pa.array([0.5, None], pa.float16())),
    "rating": ("double", pa.array([4.5, None])),
    "day": ("date", pa.array([NOON.date(), None])),
    "local": ("timestamp", pa.array([NOON.replace(tzinfo=None), None], pa.timestamp("ns"))),
    "at": ("timestamptz", pa.array([NOON, None], pa.timestamp("ms", tz="Europe/Berlin"))),
    "price": ("decimal(10,2)", pa.array([Decimal("1.25"), None], pa.decimal128(10, 2))),
    "raw": ("binary", pa.array([b"\0\xff", None])),
    "kind": ("string", pa.array(["x", None]).dictionary_encode()),
    "empty": ("string", pa.nulls(2)),
    "uuid": ("string", pa.array([UUIDS[0].bytes, None], pa.uuid())),
    "a.dotted name": ("long", pa.array([7, None])),
}


def test_kept_columns_of_parquet(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", **{name: values for name, (_, values) in COLUMNS.items()})
    types, paragraphs = read(ReadOptions(keep=tuple(COLUMNS)), path)
    assert types.kept == tuple(kind for kind, _ in COLUMNS.values())
    naive, day, text = NOON.replace(tzinfo=None), NOON.date(), str(UUIDS[0])
    values = (True, 1, 2**40, 2**40, 0.5, 4.5, day, naive, NOON, Decimal("1.25"), b"\0\xff", "x", None, text, 7)
    assert [each.kept for each in paragraphs] == [values, (None,) * len(COLUMNS)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([[1], [2]]), r"a\.parquet: the column 'it' has type list<.*>, which cannot be kept"),
        (pa.array([{"a": 1}, None]), "the column 'it' has type struct<"),
        (pa.array([dt.time(1), None]), "has type time64"),
        (pa.array([dt.timedelta(1), None]), "has type duration"),
        (pa.array([Decimal(1), None], pa.decimal256(60, 0)), "has type decimal256"),
        (pa.array([0, 1], pa.timestamp("ns")), r"row 2: 'it' does not fit the type timestamp \(Casting .*lose data"),
        (pa.array([0, 2**63], pa.uint64()), "row 2: 'it' does not fit the type long"),
        (pa.array([0, 2**60], pa.timestamp("us")), "row 2: 'it' does not fit the type timestamp"),
    ],
)
def test_columns_that_cannot_be_kept(tmp_path: Path, values: Any, message: str) -> None:
    path = parquet(tmp_path / "a.parquet", it=values)
    with pytest.raises(InputError, match=message):
        read(ReadOptions(keep=("it",)), path)
    assert len(read(ReadOptions(), path)[1]) == 2  # the column is not read


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2], "long"),
        ([None, 1, 2.5], "double"),
        ([True, False], "boolean"),
        ([None, None], "string"),
        (["a", None], "string"),
        ([2**53, 0.5], "double"),
    ],
)
def test_kept_columns_of_json(tmp_path: Path, values: list[object], kind: str) -> None:
    types, paragraphs = read(ReadOptions(keep=("it",)), jsonl(tmp_path / "a.jsonl", *({"it": value} for value in values)))
    assert types.kept == (kind,)
    assert [each.kept[0] for each in paragraphs] == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a"], r"line 2: 'it' has type string, but long in .*line 1"),
        ([True, 1], "line 2: 'it' has type long, but boolean"),
        ([1, {"a": 1}], "line 2: 'it' is an object, which cannot be kept"),
        ([[1]], "line 1: 'it' is a list"),
        ([2**63], "line 1: 'it' is an integer of more than 64 bits"),
        ([1, 2**53 + 1, 0.5], r"line 2: 'it' has an integer above 2\^53"),
        ([0.5, 2**53 + 1], r"line 2: 'it' has an integer above 2\^53"),
        (["\ud800"], "line 1: 'it' contains a lone surrogate"),
    ],
)
def test_json_values_that_cannot_be_kept(tmp_path: Path, values: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(ReadOptions(keep=("it",)), jsonl(tmp_path / "a.jsonl", *({"it": value} for value in values)))


def test_types_of_several_files(tmp_path: Path) -> None:
    small = parquet(tmp_path / "a.parquet", it=pa.array([1, 2], pa.int16()))
    empty = parquet(tmp_path / "b.parquet", it=pa.nulls(2))
    large = jsonl(tmp_path / "c.jsonl", {"it": 2**40})
    assert read(ReadOptions(keep=("it",)), small, empty, large)[0].kept == ("long",)
    words = jsonl(tmp_path / "d.jsonl", {"it": "word"})
    with pytest.raises(InputError, match=r"d\.jsonl, line 1: 'it' has type string, but int in .*a\.parquet"):
        read(ReadOptions(keep=("it",)), small, empty, words)


def test_columns_whose_names_differ_in_case_only(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", Text=pa.array([1, 2]), TEXT=pa.array(["x", "y"]))
    types, paragraphs = read(ReadOptions(keep=("Text",)), path)
    assert (types.kept, [(each.text, each.kept) for each in paragraphs]) == (("long",), [("one", (1,)), ("two", (2,))])


def test_plain_text_and_csv_have_strings(tmp_path: Path) -> None:
    text, table = tmp_path / "a.txt", tmp_path / "b.csv"
    text.write_text("First\nparagraph.\n\nSecond.")
    table.write_text('text,stars\nThird.,5\n"Fourth.",\n')
    types, paragraphs = read(ReadOptions(keep=("text",)), text, table)
    assert types.kept == ("string",)
    assert [each.kept for each in paragraphs] == [("First\nparagraph.",), ("Second.",), ("Third.",), ("Fourth.",)]
    assert [each.kept for each in read(ReadOptions(keep=("stars",)), table)[1]] == [("5",), ("",)]
    with pytest.raises(InputError, match=r"a\.txt: plain text has no column 'stars' to keep; it has only 'text'"):
        read(ReadOptions(keep=("stars",)), text, table)
    with pytest.raises(InputError, match=r"no column 'star'; the columns are: 'text', 'stars'.* --keep"):
        read(ReadOptions(keep=("star",)), table)
