"""Every form of input, and everything that can be wrong with one."""

import json
import tracemalloc
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.readers import Format, InputParagraph, ReadOptions, UniqueIds, find_inputs, read_ahead
from undertone_cli.readers.read_ahead import MAX_ITEMS
from undertone_client.jobs import InputError

COLUMNS = ReadOptions(text_column="body", id_column="key", document_column="book")


def read(*paths: Path, options: ReadOptions | None = None) -> list[InputParagraph]:
    with UniqueIds() as ids:
        return list(find_inputs([str(path) for path in paths], options or ReadOptions()).paragraphs(ids))


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_text_is_split_on_blank_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "novel.txt", "\ufeff\n\nOne\r\nand a half.\r\n \t\r\n\n  Two.  \n\n\nThree")
    items = read(path)
    assert [item.text for item in items] == ["One\nand a half.", "Two.", "Three"]
    assert [(item.id, item.document, item.position) for item in items] == [
        ("novel/0000", "novel", 0),
        ("novel/0001", "novel", 1),
        ("novel/0002", "novel", 2),
    ]
    assert [item.location for item in items] == [f"{path}, line 3", f"{path}, line 7", f"{path}, line 10"]
    assert items[1].text_sha256 == sha256(b"Two.").hexdigest()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="ab é\n", max_size=12)))
def test_no_word_of_a_text_is_lost(tmp_path_factory: pytest.TempPathFactory, paragraphs: list[str]) -> None:
    content = "\n\n".join(paragraphs)
    path = written(tmp_path_factory.mktemp("text") / "a.txt", content)
    texts = [item.text or "" for item in read(path)]
    assert " ".join(texts).split() == content.split()
    assert all(text.strip() for text in texts)


ROWS = [
    {"key": "a", "book": "x", "body": "one"},
    {"key": "b", "book": "y", "body": 'two "quoted",\nin two lines'},
    {"key": "c", "book": "x", "body": "three é"},
]
CSV = 'key,book,body\na,x,one\n"b",y,"two ""quoted"",\nin two lines"\n\nc,x,three é\n'
EXPECTED = [("a", "x", 0), ("b", "y", 0), ("c", "x", 1)]


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"rows.{request.param}"
    match request.param:
        case "jsonl":
            return written(path, "\n\n".join(json.dumps(row) for row in ROWS))
        case "csv":
            return written(path, "\ufeff" + CSV)
        case _:
            pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2)
            return path


def test_columns_give_text_id_and_document(rows: Path) -> None:
    items = read(rows, options=COLUMNS)
    assert [item.text for item in items] == [row["body"] for row in ROWS]
    assert [(item.id, item.document, item.position) for item in items] == EXPECTED


def test_without_columns_ids_are_made(rows: Path) -> None:
    items = read(rows, options=ReadOptions(text_column="body"))
    assert [item.id for item in items] == ["rows/0000", "rows/0001", "rows/0002"]


@pytest.mark.parametrize(("option", "flag"), [("text_column", "--text-column"), ("id_column", "--id-column")])
def test_a_missing_column_is_named_with_those_there_are(rows: Path, option: str, flag: str) -> None:
    text, ident = ("absent", None) if option == "text_column" else ("body", "absent")
    options = ReadOptions(text_column=text, id_column=ident)
    with pytest.raises(InputError, match=rf"no column 'absent'; the columns are: 'key', 'book', 'body'.*{flag}"):
        read(rows, options=options)


def test_a_document_column_numbers_through_all_files(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = written(tmp_path / "a.csv", "book,text\nx,one\ny,two\n")
    second = written(tmp_path / "other" / "a.csv", "book,text\nx,three\n,four\n")
    items = read(first, second, options=ReadOptions(document_column="book"))
    assert [item.id for item in items] == ["x/0000", "y/0000", "x/0001", "a/0000"]


def test_integers_are_ids_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"key": [7, 8], "text": pa.array(["one", "two"]).dictionary_encode()}), path)
    assert [(item.id, item.text) for item in read(path, options=ReadOptions(id_column="key"))] == [("7", "one"), ("8", "two")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": null}', "the text is null"),
        ('{"other": "x"}', "the text is null"),
        ('{"text": 7}', "the text is a int, not a string"),
        ('{"text": ["x"]}', "the text is a list, not a string"),
        (r'{"text": "x\ud800"}', "the text contains a lone surrogate at character 1, which is not a valid character"),
    ],
)
def test_a_value_that_is_no_text_is_a_problem_of_its_row(tmp_path: Path, line: str, problem: str) -> None:
    first, bad, last = read(written(tmp_path / "a.jsonl", f'{{"text": "fine"}}\n{line}\n{{"text": ""}}\n'))
    assert (bad.text, bad.problem, bad.text_sha256, bad.id) == (None, problem, "", "a/0001")
    assert (first.text, last.text) == ("fine", "")


def test_a_short_row_of_csv_has_no_text(tmp_path: Path) -> None:
    _, short = read(written(tmp_path / "a.csv", "key,text\n1,one\n2\n"))
    assert short.problem == "the text is null"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"fine\n\nna\xefve\n", r"a\.txt, line 3: byte 0xef is not UTF-8.*iconv"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \xff}\n', r"a\.jsonl, line 2: byte 0xff is not UTF-8"),
        ("a.csv", b"text\nx\n\xff\n", r"a\.csv, line 3: byte 0xff is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', r"a\.jsonl, line 2, column \d+: not valid JSON"),
        ("a.jsonl", b'{"text": "x"}\n["x"]\n', r"a\.jsonl, line 2: a JSON list; each line must be one JSON object"),
        ("a.jsonl", b'{"text": ' + b"9" * 5000 + b"}", r"a\.jsonl, line 1: .*digits"),
        ("a.jsonl", b"[" * 200_000, r"a\.jsonl, line 1"),
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b'text\n"open\n', r"a\.csv, line 2: not valid CSV"),
        (
            "a.csv",
            b'text\n"good"\n"open\nmore\n',
            r"a\.csv, line 4: not valid CSV .*starts in line 3: check it for an unclosed quote",
        ),
        ("a.csv", b'"text\nmore\n', r"a\.csv, line 2: not valid CSV .*starts in line 1: check it"),
        ("a.csv", b"text,text\nx,y\n", r"2 columns are named 'text'"),
        ("a.parquet", b"not parquet", r"a\.parquet cannot be read as Parquet"),
        ("a.docx", b"x", r"suffix '\.docx' does not determine the format.*--format"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_the_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path / name, content))


def test_a_column_of_something_else_than_strings(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'text' has type int64, not string"):
        read(tmp_path / "a.parquet")


def test_a_string_of_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    binary = pa.array([b"fine", b"\xff"], pa.binary())
    strings = pa.Array.from_buffers(pa.string(), 2, binary.buffers())
    pq.write_table(pa.table({"text": strings}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet.*UTF-?8"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("ident", "message"),
    [
        ("null", "the column 'key' has no id"),
        ('""', "the column 'key' has no id"),
        ("1.5", "the id is a float"),
        ("true", "the id is a bool"),
    ],
)
def test_an_id_that_is_none(tmp_path: Path, ident: str, message: str) -> None:
    path = written(tmp_path / "a.jsonl", f'{{"key": "x", "text": "x"}}\n{{"key": {ident}, "text": "x"}}\n')
    with pytest.raises(InputError, match=rf"line 2: {message}"):
        read(path, options=ReadOptions(id_column="key"))


def test_an_id_that_is_given_twice_is_named_with_both_places(tmp_path: Path) -> None:
    first = written(tmp_path / "a.csv", "key,text\n1,one\n2,two\n")
    second = written(tmp_path / "b.jsonl", '{"key": 2, "text": "x"}\n')
    with pytest.raises(InputError, match=r"duplicate id '2': .*a\.csv, line 3, and .*b\.jsonl, line 1"):
        read(first, second, options=ReadOptions(id_column="key"))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [str(written(tmp_path / "a.txt", "x")), str(written(tmp_path / "other" / "a.txt", "y"))]
    with pytest.raises(InputError, match="would both be the document 'a'"):
        find_inputs(paths, ReadOptions())


def test_inputs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_inputs([str(tmp_path / "absent.txt")], ReadOptions())
    with pytest.raises(InputError, match=r"there is no file to read"):
        find_inputs([str(tmp_path)], ReadOptions())
    with pytest.raises(InputError, match=r"addresses must start with s3:// or gs://"):
        find_inputs(["https://example.org/a.txt"], ReadOptions())
    with pytest.raises(InputError, match="standard input"):
        find_inputs(["-"], ReadOptions(format=Format.PARQUET))


def test_a_stated_format_counts_more_than_the_suffix(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", "one\n\ntwo")
    assert len(read(path, options=ReadOptions(format=Format.TEXT))) == 2


def test_reading_needs_constant_memory(tmp_path: Path) -> None:
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


async def test_a_thread_reads_ahead_a_little_and_hands_on_errors() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for _ in range(2000):
            taken += 1
            yield taken
        raise LookupError("torn page")

    async with read_ahead(source()) as items:
        for expected in range(1, 2001):
            assert await anext(items) == expected
            assert taken - expected <= 2 * MAX_ITEMS
        with pytest.raises(LookupError, match="torn page"):
            await anext(items)
