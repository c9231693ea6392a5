"""Rows of a CSV file that an open quote made a part of a text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_cli.readers import ReadOptions, find_inputs
from undertone_cli.readers.swallowed_rows import swallowed_row
from undertone_client.jobs import InputError


def texts(path: Path, content: str, id_column: str | None = None) -> list[str | None]:
    path.write_text(content)
    return [each.text for each in find_inputs([str(path)], ReadOptions(id_column=id_column)).paragraphs()]


@pytest.mark.parametrize(
    ("content", "id_column", "row"),
    [
        ('id,text\n1,"Hello\n2,foo\n3,bye"\n4,x\n', None, "2"),
        ('id,text\n1,"Hello\n2,foo"\n4,x\n', None, "2"),
        ('id,text,lang\n1,"Hello\n2,foo",en\n', None, "2"),
        ('text,key\nx,9\n"Hello,p-0417\nfoo,p-0533\nbye",p-0533\n', "key", None),  # the id is before the text only
        ('id,text\npost-17,"Hello\npost-29,foo\npost-30,bye"\n', "id", "post-29"),
    ],
)
def test_row_in_a_quoted_text_is_refused(tmp_path: Path, content: str, id_column: str | None, row: str | None) -> None:
    if row is None:
        assert len(texts(tmp_path / "a.csv", content, id_column)) == 2
        return
    with pytest.raises(
        InputError, match=rf"a\.csv, line 2: a quoted text in lines 2 to . contains .* the row '{row}'; close the quote"
    ):
        texts(tmp_path / "a.csv", content, id_column)


def test_paragraphs_with_line_breaks_and_commas_are_accepted(tmp_path: Path) -> None:
    content = 'id,text\n7,"Steps:\n1, boil\n2, add"\n8,"In\n1990, it\nwas"\n9,"Well,\nthen, it was"\n'
    assert len(texts(tmp_path / "a.csv", content)) == 3


@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text("ab ,\n.", max_size=60))
def test_no_alarm_without_a_digit_in_the_id(ident: str, text: str) -> None:
    assert swallowed_row([ident, text], 2, 0) is None
