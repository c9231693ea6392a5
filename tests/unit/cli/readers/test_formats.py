"""Every input format, and its errors."""

import json
import tracemalloc
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.readers import ReadOptions, find_inputs, lines, plain_text
from undertone_client.jobs import InputError

from tests.unit.support.command import read_paragraphs, write_input, write_texts

COLUMNS = ReadOptions(text_column="body", id_column="key", document_column="book")


def test_text_is_split_on_blank_lines(tmp_path: Path) -> None:
    path = write_input(tmp_path / "novel.txt", "\ufeff\n\nOne\r\nand a half.\r\n \t\r\n\n  Two.  \n\n\nThree")
    paragraphs = read_paragraphs(path)
    assert [paragraph.text for paragraph in paragraphs] == ["One\nand a half.", "Two.", "Three"]
    assert [(paragraph.id, paragraph.document, paragraph.position) for paragraph in paragraphs] == [
        ("novel/0000", "novel", 0),
        ("novel/0001", "novel", 1),
        ("novel/0002", "novel", 2),
    ]
    assert [paragraph.location for paragraph in paragraphs] == [f"{path}, line 3", f"{path}, line 7", f"{path}, line 10"]
    assert paragraphs[1].text_sha256 == sha256(b"Two.").hexdigest()


def test_lines_end_with_a_carriage_return_but_not_with_a_form_feed_or_line_separator(tmp_path: Path) -> None:
    path = write_input(tmp_path / "old.txt", "One\rand \x0c\x0ba half.\r\rTwo\u2028\u2028lines.\r")
    paragraphs = read_paragraphs(path)
    assert [paragraph.text for paragraph in paragraphs] == ["One\nand \x0c\x0ba half.", "Two\u2028\u2028lines."]
    assert [paragraph.location for paragraph in paragraphs] == [f"{path}, line 1", f"{path}, line 4"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="ab é\n", max_size=12)))
def test_text_keeps_every_word(tmp_path_factory: pytest.TempPathFactory, paragraphs: list[str]) -> None:
    content = "\n\n".join(paragraphs)
    path = write_input(tmp_path_factory.mktemp("text") / "a.txt", content)
    texts = [paragraph.text or "" for paragraph in read_paragraphs(path)]
    assert " ".join(texts).split() == content.split()
    assert all(text.strip() for text in texts)


ROWS = [
    {"key": "a", "book": "x", "body": "one"},
    {"key": "b", "book": "y", "body": 'two "quoted",\nin two lines'},
    {"key": "c", "book": "x", "body": "three é"},
]
CSV = 'key,book,body\na,x,one\n"b",y,"two ""quoted"",\nin two lines"\n\nc,x,three é\n'
EXPECTED = [("a", "x", 0), ("b", "y", 0), ("c", "x", 1)]


@pytest.fixture(params=["jsonl", "json", "csv", "tsv", "parquet"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"rows.{request.param}"
    match request.param:
        case "jsonl":
            return write_input(path, "\n\n".join(json.dumps(row) for row in ROWS))
        case "json":
            return write_input(path, json.dumps(ROWS, indent=1))
        case "tsv":
            return write_input(path, CSV.replace(",", "\t").replace("\t\n", ",\n"))
        case "csv":
            return write_input(path, "\ufeff" + CSV)
        case _:
            pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2)
            return path


def test_columns_of_text_id_and_document(rows: Path) -> None:
    paragraphs = read_paragraphs(rows, options=COLUMNS)
    assert [paragraph.text for paragraph in paragraphs] == [row["body"] for row in ROWS]
    assert [(paragraph.id, paragraph.document, paragraph.position) for paragraph in paragraphs] == EXPECTED


def test_default_ids(rows: Path) -> None:
    paragraphs = read_paragraphs(rows, options=ReadOptions(text_column="body"))
    assert [paragraph.id for paragraph in paragraphs] == ["rows/0000", "rows/0001", "rows/0002"]


@pytest.mark.parametrize(("option", "flag"), [("text_column", "--text-column"), ("id_column", "--id-column")])
def test_missing_column_is_reported_with_the_present_ones(rows: Path, option: str, flag: str) -> None:
    text, ident = ("absent", None) if option == "text_column" else ("body", "absent")
    options = ReadOptions(text_column=text, id_column=ident)
    with pytest.raises(InputError, match=rf"no column 'absent'; the columns are: 'key', 'book', 'body'.*{flag}"):
        read_paragraphs(rows, options=options)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": null}', "the text is null"),
        ('{"other": "x"}', "the record has no field 'text', which --text-column names"),
        ('{"text": 7}', "the text is a number, not a string"),
        ('{"text": ["x"]}', "the text is an array, not a string"),
        (r'{"text": "x\ud800"}', "the text contains a lone surrogate at character 1, which is not a valid character"),
    ],
)
def test_value_that_is_not_a_text_is_a_problem_of_its_row(tmp_path: Path, line: str, problem: str) -> None:
    first, bad, last = read_paragraphs(write_input(tmp_path / "a.jsonl", f'{{"text": "fine"}}\n{line}\n{{"text": ""}}\n'))
    assert (bad.text, bad.problem, bad.text_sha256, bad.id) == (None, problem, "", "a/0001")
    assert (first.text, last.text) == ("fine", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"fine\n\nna\xefve\n", r"a\.txt, line 3: byte 0xef is not UTF-8; its encoding is .*iconv"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \xff}\n', r"a\.jsonl, line 2: byte 0xff is not UTF-8"),
        ("a.csv", b"text\nx\n\xff\n", r"a\.csv, line 3: byte 0xff is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', r"a\.jsonl, line 2: not valid JSON in column \d+"),
        (
            "a.jsonl",
            b'{"text": "x"}\n["x"]\n',
            r"a\.jsonl, line 2: the line is an array, not a JSON object; write one JSON object in each line",
        ),
        ("a.jsonl", b'{"text": ' + b"9" * 5000 + b"}", r"a\.jsonl, line 1: an integer has too many digits"),
        ("a.jsonl", b"[" * 200_000, r"a\.jsonl, line 1"),
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b'text\n"open\n', r"a\.csv, line 2: not valid CSV \(a quoted field has no end\)"),
        (
            "a.csv",
            b'text\n"good"\n"open\nmore\n',
            r"a\.csv, line 3: not valid CSV .*lines 3 to 4.*; check the row that starts in line 3 for an unclosed quote",
        ),
        ("a.csv", b'"text\nmore\n', r"a\.csv, line 1: not valid CSV .*; check the row that starts in line 1"),
        ("a.csv", b"text,text\nx,y\n", r"2 columns are named 'text'"),
        ("a.parquet", b"not parquet", r"a\.parquet cannot be read as Parquet: it is of another format, or was cut off"),
        ("a.docx", b"x", r"suffix '\.docx' does not determine the format.*--format"),
    ],
)
def test_damaged_file_is_reported_with_the_location(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_paragraphs(write_input(tmp_path / name, content))


def test_text_column_of_another_type(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'text' has type int64, not string"):
        read_paragraphs(tmp_path / "a.parquet")


def test_parquet_string_that_is_not_utf8(tmp_path: Path) -> None:
    binary = pa.array([b"fine", b"\xff"], pa.binary())
    strings = pa.Array.from_buffers(pa.string(), 2, binary.buffers())
    pq.write_table(pa.table({"text": strings}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet.*UTF-?8"):
        read_paragraphs(tmp_path / "a.parquet")


def test_endless_line_or_paragraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(plain_text, "MAX_PARAGRAPH_CHARACTERS", 1000)
    (tmp_path / "a.jsonl").write_text('{"text": "' + "x" * 2000)
    with pytest.raises(InputError, match=r"line 1: longer than 1000 bytes"):
        list(find_inputs([str(tmp_path / "a.jsonl")], ReadOptions()).paragraphs())
    (tmp_path / "a.txt").write_text("short\n\n" + "line\n" * 300)
    with pytest.raises(InputError, match=r"line 3: the paragraph is longer than 1000 characters.*blank lines"):
        list(find_inputs([str(tmp_path / "a.txt")], ReadOptions()).paragraphs())


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".json"])
def test_reading_needs_constant_memory(tmp_path: Path, suffix: str) -> None:
    path = write_texts(tmp_path / f"a{suffix}", [f"{index} " + "x" * 1000 for index in range(4000)])
    tracemalloc.start()
    try:
        assert sum(1 for _ in find_inputs([str(path)], ReadOptions()).paragraphs()) == 4000
        assert tracemalloc.get_traced_memory()[1] < 600_000 < path.stat().st_size / 6
    finally:
        tracemalloc.stop()


def test_parquet_reader_does_not_load_a_whole_row_group(tmp_path: Path) -> None:
    texts = pa.array([f"{index} " + "x" * 10_000 for index in range(6000)])
    pq.write_table(
        pa.table({"text": texts}), tmp_path / "a.parquet", compression="none", use_dictionary=False, row_group_size=6000
    )
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 1
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    try:
        assert sum(1 for _ in find_inputs([str(tmp_path / "a.parquet")], ReadOptions()).paragraphs()) == 6000
    finally:
        pa.set_memory_pool(before)
    assert 0 < pool.max_memory() < 30_000_000 < (tmp_path / "a.parquet").stat().st_size / 2 + 1
