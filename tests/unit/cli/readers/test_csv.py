"""CSV files as people have them: ragged rows, open quotes, other line ends."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_cli.readers import ReadOptions
from undertone_client.jobs import InputError

from tests.unit.support.command import read_paragraphs, write_input

IDS = ReadOptions(id_column="id")


def texts(path: Path, options: ReadOptions = IDS) -> list[str | None]:
    return [paragraph.text for paragraph in read_paragraphs(path, options=options)]


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ("1,Well, that went better…\n", 2, "3 fields, but the header has 2 columns; put each field that contains a comma into"),
        ("1,one\n2,a, b, c\n", 3, "4 fields"),
        ('1,"two\nlines"\n\n2,a,b\n', 5, "3 fields"),
        ("1,one,,x\n", 2, "4 fields"),
        ("1,unquoted\nline break\n", 3, "1 fields, but the header has 2 columns; put each field that contains a line break"),
        ("1\n", 2, "1 fields"),
        ("1,one\r\n2,a,b\r\n", 3, "3 fields"),
    ],
)
def test_rows_with_another_number_of_fields_are_refused(tmp_path: Path, rows: str, line: int, message: str) -> None:
    with pytest.raises(InputError, match=rf"a\.csv, line {line}: .*{message}"):
        texts(write_input(tmp_path / "a.csv", "id,text\n" + rows))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,text\n1,one,\n2,two,,\n", ["one", "two"]),  # as spreadsheets pad rows
        ("id,text\n", []),
        ("id,text\r\n1,one\r\n\r\n2,two\r\n", ["one", "two"]),
        ("\ufeffid,text\n1,one\n", ["one"]),
        ('\ufeff"id","text"\n1,one\n', ["one"]),
        ('id,text\n1,"a ""b"", c"\n', ['a "b", c']),
        ('id,text\n1,"a\r\nb"', ["a\r\nb"]),
        ("id,text\n1,\n", [""]),
        ("id,text,text2,text2\n1,one,a,b\n", ["one"]),
    ],
)
def test_valid_rows(tmp_path: Path, content: str, expected: list[str]) -> None:
    assert texts(write_input(tmp_path / "a.csv", content)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,text\r1,one\r2,two\r", "carriage return only: convert it: tr"),
        ("id,text\n1,a\0b\n", "line 2: it contains null bytes"),
        (
            'id,text\n1,one\n2,"open\n' + "3,three\n" * 500,
            r"line 3: not valid CSV .*lines 3 to 503\); check the row that starts in line 3 for an unclosed",
        ),
        (
            'id,text\n1,"open\n2,a "quoted" word\n',
            "line 2: not valid CSV .*; check the row that starts in line 2 for an unclosed",
        ),
        ("id,id,text\n1,2,one\n", "2 columns are named 'id'"),
        ("id;text\n1;one\n", "no column 'text'; the columns are: 'id;text'. .*set it: --delimiter ';'"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        texts(write_input(tmp_path / "a.csv", content))


FIELD = st.text(st.sampled_from('ab,"\n é'), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(FIELD, min_size=1, max_size=4), max_size=5))
def test_no_text_is_lost_in_silence(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    """Rows that are joined without quotes are read as a whole, or refused."""
    path = write_input(tmp_path_factory.mktemp("csv") / "a.csv", "a,text\n" + "".join(",".join(row) + "\n" for row in rows))
    try:
        found = read_paragraphs(path, options=ReadOptions(id_column=None, document_column="a"))
    except InputError:
        return
    kept = "".join(f"{paragraph.document}{paragraph.text}" for paragraph in found)
    written = "".join("".join(row) for row in rows)
    # The name of the file is the document of rows whose first field is empty.
    assert sum(kept.count(letter) for letter in "bé") == sum(written.count(letter) for letter in "bé")
